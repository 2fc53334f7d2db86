import Glibc

/// What the words of one image count in a filter's name.
public enum Weighting: String, Sendable, CaseIterable {
  /// Once (the paper; the FACT2023 reproduction's default).
  case once
  /// The image's largest activation, rounded down (the authors' program): images below 1 count nothing.
  case floor
  /// Rounded up (the FACT2023 reproduction with weights).
  case ceiling
  /// The largest activation of the map enlarged to the model's input, rounded down (the other reproduction).
  case enlarged

  /// `activation` is the largest one of the map that this weighting looks at.
  public func weight(of activation: Float) -> Double {
    switch self {
    case .once: 1
    case .floor, .enlarged: Double(activation.rounded(.down))
    case .ceiling: Double(activation.rounded(.up))
    }
  }
}

/// How often words were among the nearest.
public struct WordCounts: Sendable {
  public private(set) var counts: [Int: Double] = [:]

  public init() {}

  public mutating func add(_ words: some Sequence<Int>, weight: Double) {
    guard weight > 0 else { return }
    for word in words { counts[word, default: 0] += weight }
  }

  /// By count, largest first; of equal ones the first in the vocabulary. The programs leave the order of
  /// equal counts, which are common, to unstable sorts.
  public var ranked: [(word: Int, count: Double)] {
    counts.map { (word: $0.key, count: $0.value) }
      .sorted { $0.count != $1.count ? $0.count > $1.count : $0.word < $1.word }
  }
}
