import Explainers
public import Explanations
public import Metrics
import Models
import Parallel
import Reports
public import Tensors

/// What the records of an evaluation come to. The same records give the same summary, in whatever order they came.
public struct Summary: Sendable {
  public struct Options: Sendable {
    /// Of the bootstrap; 0: no intervals.
    public var resamples = 1000
    /// What intervals cover.
    public var confidence = 0.95
    /// Of the bootstrap.
    public var seed: UInt64 = 0

    public init() {}

    /// Throws `invalidArgument` where no bootstrap is like that.
    public func check() throws {
      guard (0...1_000_000).contains(resamples), confidence > 0, confidence < 1 else {
        throw Failure(
          .invalidArgument,
          "a bootstrap has 0 to 1000000 resamples, and intervals cover a share between 0 and 1; not "
            + "\(resamples) and \(confidence)")
      }
    }
  }

  /// A mean over images, and an interval for it.
  public struct Estimate: Sendable {
    /// NaN where nothing is defined.
    public let mean: Double
    public internal(set) var interval: ClosedRange<Double>?
    /// How many values are defined.
    public let count: Int
  }

  /// One method by one metric.
  public struct Result: Sendable {
    /// nil for metrics of the classifier.
    public let method: String?
    public let metric: String
    public let better: Direction
    public internal(set) var estimate: Estimate
    /// The mean of the curves; empty where there are none. Curves of other lengths are read at as many points as the
    /// longest has, linearly.
    public let curve: [Double]
    /// Whether no other method's mean is better, controls left out; false where that cannot be said.
    public internal(set) var isBest = false
    /// What the metric chose of what the caller left to it.
    public let chosen: [(name: String, value: ParameterValue)]
  }

  /// Two methods by one metric, over the images for which both are defined.
  public struct Comparison: Sendable {
    public let metric: String
    public let method: String
    public let other: String
    /// Of `method` less `other`.
    public internal(set) var difference: Estimate
    /// The share of images where `method` has the better value, equal ones counting half; nil where nothing is better.
    public let wins: Double?
  }

  public let options: Options
  /// Samples of the data set; those with a record; those that failed, with the reason.
  public let sampleCount: Int
  public let evaluatedCount: Int
  public let failures: [(name: String, reason: String)]
  /// nil where no true class is known. Top-1 and, of more than five classes, top-5.
  public internal(set) var accuracy: [(top: Int, estimate: Estimate)]
  /// The mean probability of the predicted class.
  public internal(set) var confidence: Estimate
  /// How often class `truth` was taken for `predicted`, by these.
  public let confusion: [(truth: Int, predicted: Int, count: Int)]
  public internal(set) var results: [Result]
  public internal(set) var comparisons: [Comparison]
  /// Arrays that metrics give of all images: of "confusion".
  public let details: [(name: String, tensor: Tensor)]

  public var isComplete: Bool { evaluatedCount + failures.count == sampleCount }

  /// Gives the estimates their intervals, in the order in which they are asked for.
  fileprivate mutating func fill(_ intervals: [ClosedRange<Double>?]) {
    var rest = intervals[...]
    for i in accuracy.indices { accuracy[i].estimate.interval = rest.removeFirst() }
    confidence.interval = rest.removeFirst()
    for i in results.indices { results[i].estimate.interval = rest.removeFirst() }
    for i in comparisons.indices { comparisons[i].difference.interval = rest.removeFirst() }
  }
}

extension Evaluation {
  public func summary(_ options: Summary.Options = Summary.Options()) throws -> Summary {
    try options.check()
    return try Folding(self, options).summary()
  }
}

/// Folds records, in the order of the data set.
private final class Folding {
  private let evaluation: Evaluation
  private let options: Summary.Options
  /// Those that did not fail.
  private let records: [Record]
  private let predictions: [Record.Prediction]
  private let failures: [(name: String, reason: String)]
  /// What an interval is wanted for.
  private var statistics: [Bootstrap.Statistic] = []

  init(_ evaluation: Evaluation, _ options: Summary.Options) throws {
    self.evaluation = evaluation
    self.options = options
    let known = try evaluation.foldedRecords
    let all = evaluation.data.samples.indices.compactMap { known[$0] }
    records = all.filter { $0.failure == nil }
    predictions = records.compactMap(\.prediction)
    failures = all.compactMap { record in record.failure.map { (record.name, $0) } }
  }

  func summary() throws -> Summary {
    // In the order of `fill`.
    let accuracy = try accuracy()
    let confidence = estimate(predictions.map(\.probability))
    let results = try scoreResults() + explanationResults()
    var summary = Summary(
      options: options, sampleCount: evaluation.data.samples.count, evaluatedCount: records.count, failures: failures,
      accuracy: accuracy, confidence: confidence, confusion: confusion(), results: results,
      comparisons: try comparisons(), details: try details())
    summary.fill(try Bootstrap(count: records.count, options: options).intervals(of: statistics))
    return summary
  }

  // MARK: - Means and intervals

  private func estimate(_ values: [Double]) -> Summary.Estimate {
    estimate(values) { values, _ in Measurement.mean(of: values) }
  }

  private func estimate(
    _ values: [Double], mean: @escaping ([Double], [Int32]?) throws -> Double
  ) rethrows -> Summary.Estimate {
    statistics.append { places in try mean(places.map { values[Int($0)] }, places) }
    return Summary.Estimate(mean: try mean(values, nil), interval: nil, count: values.count { !$0.isNaN })
  }

  private func estimate(_ values: [Double], _ use: MetricUse, classes: [Int?]) throws -> Summary.Estimate {
    let settings = try use.settings
    return try estimate(values) { values, places in
      try use.metric.mean(
        of: values, classes: places.map { $0.map { classes[Int($0)] } } ?? classes, settings,
        batchSize: use.call.batchSize)
    }
  }

  // MARK: - The classifier

  private func accuracy() throws -> [(top: Int, estimate: Summary.Estimate)] {
    guard predictions.contains(where: { $0.truthRank != nil }) else { return [] }
    let tops = (evaluation.classCount ?? 0) > 5 ? [1, 5] : [1]
    return tops.map { top in
      (top, estimate(predictions.map { $0.truthRank.map { $0 < top ? 1 : 0 } ?? .nan }))
    }
  }

  private func confusion() -> [(truth: Int, predicted: Int, count: Int)] {
    var counts: [[Int]: Int] = [:]
    for (record, prediction) in zip(records, predictions) {
      if let truth = record.truth, prediction.truthRank != nil {
        counts[[truth, prediction.classIndex], default: 0] += 1
      }
    }
    return counts.map { ($0.key[0], $0.key[1], $0.value) }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
  }

  private func scoreResults() throws -> [Summary.Result] {
    try evaluation.plan.scoreMetrics.enumerated().map { m, use in
      let values = predictions.map { $0.values[m].value }
      return Summary.Result(
        method: nil, metric: use.name, better: use.better,
        estimate: try estimate(values, use, classes: records.map(\.truth)), curve: [],
        chosen: evaluation.totals.chosen[m] ?? [])
    }
  }

  /// Those of the confusion matrix.
  private func details() throws -> [(name: String, tensor: Tensor)] {
    guard let use = evaluation.plan.scoreMetrics.first(where: { $0.metric.name == "confusion" }) else { return [] }
    let known = zip(records, predictions).filter { $0.0.truth != nil && !$0.1.probabilities.isEmpty }
    guard let classes = known.first?.1.probabilities.count else { return [] }
    let scores = known.flatMap(\.1.probabilities)
    return try Metrics.measure(
      use.metric, maps: Tensor(scores, Shape(checking: [known.count, classes])), classes: known.map(\.0.truth),
      use.call,
      .unwatched
    ).details
  }

  // MARK: - Explanations

  private func values(_ method: Int, _ metric: Int) -> [Double] {
    records.map { $0.explanations[method].values[metric].value }
  }

  private func explanationResults() throws -> [Summary.Result] {
    let (methods, metrics) = (evaluation.plan.methods, evaluation.plan.explanationMetrics)
    var results: [Summary.Result] = []
    for (m, method) in methods.enumerated() {
      for (k, use) in metrics.enumerated() {
        let found = values(m, k)
        let classes = records.map { record in Optional(record.explanations[m].classIndex) }
        results.append(
          Summary.Result(
            method: method.name, metric: use.name, better: use.better,
            estimate: try estimate(found, use, classes: classes),
            curve: evaluation.totals.curves[m * metrics.count + k].mean,
            chosen: evaluation.totals.chosen[evaluation.plan.scoreMetrics.count + k] ?? []))
      }
    }
    // What knows nothing of the model is there to be beaten.
    let controls = methods.filter { $0.described.control != nil }.map(\.name)
    for use in metrics where use.better != .neither {
      let places = results.indices.filter { i in
        results[i].metric == use.name && !results[i].estimate.mean.isNaN && !controls.contains(results[i].method ?? "")
      }
      let means = places.map { results[$0].estimate.mean }
      guard let best = use.better == .more ? means.max() : means.min(), places.count > 1 else { continue }
      for place in places where results[place].estimate.mean == best { results[place].isBest = true }
    }
    return results
  }

  private func comparisons() throws -> [Summary.Comparison] {
    let (methods, metrics) = (evaluation.plan.methods, evaluation.plan.explanationMetrics)
    var found: [Summary.Comparison] = []
    for (k, use) in metrics.enumerated() {
      for a in methods.indices {
        for b in methods.indices.dropFirst(a + 1) {
          let differences = zip(values(a, k), values(b, k)).map { $0 - $1 }
          found.append(
            Summary.Comparison(
              metric: use.name, method: methods[a].name, other: methods[b].name, difference: estimate(differences),
              wins: Self.wins(differences, use.better)))
        }
      }
    }
    return found
  }

  private static func wins(_ differences: [Double], _ better: Direction) -> Double? {
    let defined = differences.filter { !$0.isNaN }
    guard better != .neither, !defined.isEmpty else { return nil }
    let points = defined.reduce(0) { $0 + ($1 == 0 ? 0.5 : ($1 > 0) == (better == .more) ? 1 : 0) }
    return points / Double(defined.count)
  }
}
