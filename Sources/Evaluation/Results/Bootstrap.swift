import Glibc

/// Intervals by the percentile bootstrap (Efron & Tibshirani, 1993, chapter 13): images are drawn with replacement, as
/// many as there are, so many times; the interval lies between quantiles of what these samples come to.
///
/// All numbers of an evaluation use the same samples, so that methods are compared image by image.
struct Bootstrap {
  /// Of places of values: as many as there are images.
  typealias Statistic = ([Int32]) throws -> Double

  let count: Int
  let options: Summary.Options

  /// The interval of each statistic, nil where there is none. One sample is held at a time.
  func intervals(of statistics: [Statistic]) throws -> [ClosedRange<Double>?] {
    var found = [[Double]](repeating: [], count: statistics.count)
    // One image tells nothing about others.
    for index in 0..<(count < 2 ? 0 : options.resamples) {
      let places = RandomDraws.resample(index, count: count, seed: options.seed)
      for (i, statistic) in statistics.enumerated() {
        let value = try statistic(places)
        if !value.isNaN { found[i].append(value) }
      }
    }
    let tail = (1 - options.confidence) / 2
    return found.map { values in
      guard !values.isEmpty else { return nil }
      let sorted = values.sorted()
      let low = Self.quantile(tail, of: sorted)
      return low...max(low, Self.quantile(1 - tail, of: sorted))
    }
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
