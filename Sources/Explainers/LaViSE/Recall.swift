/// How many of the words that people gave to a filter's region are among those found for it (LaViSE, section
/// 4.1, as its two reproductions compute it; the authors' program does not).
public enum Recall {
  /// Something annotated in an image: its word, and where it is.
  public struct Annotation: Sendable {
    public let word: Int
    /// As many positions as the region has.
    public let mask: [Bool]

    public init(word: Int, mask: [Bool]) {
      self.word = word
      self.mask = mask
    }
  }

  /// Share of the two that they have in common; nil where both are empty.
  public static func overlap(_ a: [Bool], _ b: [Bool]) -> Double? {
    precondition(a.count == b.count)
    let both = zip(a, b).count { $0 && $1 }
    let either = zip(a, b).count { $0 || $1 }
    return either == 0 ? nil : Double(both) / Double(either)
  }

  /// Words of annotations that overlap the region by more than `share`.
  public static func words(in region: [Bool], of annotations: [Annotation], above share: Double = 0.04) -> Set<Int> {
    Set(annotations.filter { (overlap(region, $0.mask) ?? 0) > share }.map(\.word))
  }

  /// The share of `truth` that is among `found`; nil where there is no truth.
  public static func share(of truth: Set<Int>, in found: some Sequence<Int>) -> Double? {
    truth.isEmpty ? nil : Double(truth.intersection(found).count) / Double(truth.count)
  }

  /// The mean of what is defined; nil where nothing is. Over all images of all filters it is the FACT2023
  /// reproduction's recall; over each filter's images, then over filters, the other's.
  public static func mean(_ shares: some Sequence<Double?>) -> Double? {
    let defined = shares.compactMap { $0 }
    return defined.isEmpty ? nil : defined.reduce(0, +) / Double(defined.count)
  }

  /// One image of a filter: what is annotated in its region, what was found, and what that counts.
  public struct Image: Sendable {
    public let truth: Set<Int>
    public let words: [Int]
    public let weight: Double

    public init(truth: Set<Int>, words: [Int], weight: Double) {
      self.truth = truth
      self.words = words
      self.weight = weight
    }
  }

  /// For each image the recall among the first `limit` words of the name that the filter has by then;
  /// images without truth do not count for the name either. `seen`: words to leave out of the truth.
  public static func cumulative(_ images: [Image], limit: Int, seen: Set<Int> = []) -> [Double?] {
    var counts = WordCounts()
    return images.map { image in
      guard !image.truth.isEmpty else { return nil }
      counts.add(image.words, weight: image.weight)
      return share(of: image.truth.subtracting(seen), in: counts.ranked.prefix(limit).map(\.word))
    }
  }

  /// A mask at another size: each position takes the one that it falls into.
  public static func enlarged(_ mask: [Bool], width: Int, height: Int, to size: (width: Int, height: Int)) -> [Bool] {
    (0..<size.height).flatMap { y in
      (0..<size.width).map { x in mask[y * height / size.height * width + x * width / size.width] }
    }
  }
}
