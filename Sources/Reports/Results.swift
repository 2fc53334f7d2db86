extension Report {
  /// Which values of a metric are the good ones.
  public enum Direction: Sendable {
    case higher, lower, neither

    /// "higher is better"; nothing where neither is.
    var words: String {
      switch self {
      case .higher: "higher is better"
      case .lower: "lower is better"
      case .neither: ""
      }
    }

    func isBetter(_ a: Double, than b: Double) -> Bool {
      switch self {
      case .higher: a > b
      case .lower: a < b
      case .neither: false
      }
    }
  }

  /// What was measured.
  public struct Metric: Sendable {
    public let name: String
    /// One sentence: what the number means.
    public let summary: String
    public let direction: Direction
    /// Parameters as used.
    public let settings: [(name: String, value: String)]

    public init(name: String, summary: String, direction: Direction, settings: [(name: String, value: String)] = []) {
      (self.name, self.summary, self.direction, self.settings) = (name, summary, direction, settings)
    }
  }

  /// A mean over images, with an interval where one was made.
  public struct Estimate: Sendable {
    public let mean: Double
    public let interval: ClosedRange<Double>?
    /// Images for which there is a value.
    public let count: Int

    public init(mean: Double, interval: ClosedRange<Double>?, count: Int) {
      (self.mean, self.interval, self.count) = (mean, interval, count)
    }
  }

  /// A method by a metric.
  public struct Result: Sendable {
    public let method: String
    public let metric: String
    public let estimate: Estimate

    public init(method: String, metric: String, estimate: Estimate) {
      (self.method, self.metric, self.estimate) = (method, metric, estimate)
    }
  }

  /// Two methods by a metric, image by image.
  public struct Comparison: Sendable {
    public let metric: String
    public let method: String
    public let other: String
    /// Of `method` less `other`.
    public let difference: Estimate
    /// The share of images on which `method` is better, of equal ones half; nil where neither can be.
    public let wins: Double?

    public init(metric: String, method: String, other: String, difference: Estimate, wins: Double?) {
      (self.metric, self.method, self.other) = (metric, method, other)
      (self.difference, self.wins) = (difference, wins)
    }
  }

  /// Mean curves of all methods by one metric.
  public struct Chart: Sendable {
    public let metric: String
    /// What runs along the axes.
    public let across: String
    public let up: String
    /// Points at equal distances, the first at 0 % and the last at 100 %.
    public let curves: [(method: String, values: [Double])]

    public init(metric: String, across: String, up: String, curves: [(method: String, values: [Double])]) {
      (self.metric, self.across, self.up, self.curves) = (metric, across, up, curves)
    }
  }

  /// How often images of one class were taken for another, or for the same.
  public struct Confusion: Sendable {
    public let truth: String
    public let predicted: String
    public let count: Int

    public init(truth: String, predicted: String, count: Int) {
      (self.truth, self.predicted, self.count) = (truth, predicted, count)
    }
  }
}

/// How a comparison with an interval ends.
enum Verdict {
  case better, worse, open

  /// Of `method` against `other`; nil without an interval, or where no value is the better one.
  init?(_ comparison: Report.Comparison, _ direction: Report.Direction) {
    guard let interval = comparison.difference.interval, direction != .neither else { return nil }
    if interval.lowerBound > 0 {
      self = direction == .higher ? .better : .worse
    } else if interval.upperBound < 0 {
      self = direction == .higher ? .worse : .better
    } else {
      self = .open
    }
  }
}

extension Report {
  func estimate(_ method: String, _ metric: String) -> Estimate? {
    results.first { $0.method == method && $0.metric == metric }?.estimate
  }

  /// The comparison of two methods, whichever of them it names first.
  func comparison(_ method: String, _ other: String, _ metric: String) -> Comparison? {
    for found in comparisons where found.metric == metric {
      if found.method == method, found.other == other { return found }
      if found.method == other, found.other == method { return found.turned }
    }
    return nil
  }

  /// The methods with the best mean, controls left out; none where no value is better, or one method alone was
  /// measured.
  func best(_ metric: Metric) -> [String] {
    let means = methods.filter { $0.control == nil }.compactMap { method in
      estimate(method.name, metric.name).flatMap { $0.mean.isNaN ? nil : (method.name, $0.mean) }
    }
    guard means.count > 1, metric.direction != .neither else { return [] }
    let best = means.dropFirst().reduce(means[0].1) { metric.direction.isBetter($1.1, than: $0) ? $1.1 : $0 }
    return means.filter { $0.1 == best }.map(\.0)
  }
}

extension Report.Comparison {
  fileprivate var turned: Report.Comparison {
    let interval = difference.interval.map { -$0.upperBound ... -$0.lowerBound }
    return Report.Comparison(
      metric: metric, method: other, other: method,
      difference: Report.Estimate(mean: -difference.mean, interval: interval, count: difference.count),
      wins: wins.map { 1 - $0 })
  }
}
