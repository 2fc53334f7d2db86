import Glibc

/// Intervals by the percentile bootstrap (Efron & Tibshirani, 1993, chapter 13): images are drawn with replacement, as
/// many as there are, so many times; the interval lies between quantiles of what these samples come to.
///
/// All numbers of an evaluation use the same samples, so that methods are compared image by image.
struct Bootstrap {
  let count: Int
  let confidence: Double
  private let resamples: [[Int32]]

  /// `resamples` 0: no intervals.
  init(count: Int, resamples: Int, confidence: Double, seed: UInt64) {
    self.count = count
    self.confidence = confidence
    // One image tells nothing about others.
    self.resamples = count < 2 ? [] : (0..<resamples).map { index in
      RandomDraws.resample(index, count: count, seed: seed).map { Int32($0) }
    }
  }

  /// The interval of `statistic` of as many values as there are images; nil where there is none.
  func interval(of statistic: ([Int32]) throws -> Double) rethrows -> ClosedRange<Double>? {
    let found = try resamples.map(statistic).filter { !$0.isNaN }.sorted()
    guard !found.isEmpty else { return nil }
    let tail = (1 - confidence) / 2
    return Self.quantile(tail, of: found)...max(Self.quantile(tail, of: found), Self.quantile(1 - tail, of: found))
  }

  /// Between the two nearest of sorted values, linearly, as NumPy's default.
  static func quantile(_ share: Double, of sorted: [Double]) -> Double {
    let place = share * Double(sorted.count - 1)
    let low = Int(floor(place))
    let high = min(low + 1, sorted.count - 1)
    let rest = place - Double(low)
    // As numpy interpolates, so that the last bit is the same.
    let (a, b) = (sorted[low], sorted[high])
    return rest >= 0.5 ? b - (b - a) * (1 - rest) : a + (b - a) * rest
  }
}
