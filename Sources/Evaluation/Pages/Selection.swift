import Explanations
import Metrics
import Reports

/// Which images a page shows: by the first metric that knows good from bad, the best and the worst image of each
/// method, and the one in the middle of the first method's. Without methods, the mistakes that the model was surest of.
struct Selection {
  /// Beyond so many images a page becomes long to read, and to make.
  static let most = 10

  /// Samples in the order in which they are shown, with the reasons.
  private(set) var chosen: [(sample: Int, reasons: [String])] = []
  /// A sentence on how they were chosen.
  private(set) var note = ""

  init(_ evaluation: Evaluation) throws {
    let records = try evaluation.foldedRecords
    self.init(evaluation, records, Array(evaluation.data.samples.indices)) { evaluation.isAtHand($0) }
  }

  /// Of some samples those that stay chosen when others that are no better, and no worse, come or go.
  init(_ evaluation: Evaluation, extremesOf samples: [Int]) {
    self.init(evaluation, evaluation.records, samples) { _ in false }
  }

  private init(
    _ evaluation: Evaluation, _ all: [Int: Record], _ samples: [Int], middle isAtHand: (Int) -> Bool
  ) {
    let records = samples.compactMap { i in
      all[i].flatMap { $0.failure == nil ? (sample: i, record: $0) : nil }
    }
    let metrics = evaluation.plan.explanationMetrics
    guard !evaluation.plan.methods.isEmpty else {
      chooseMistakes(records)
      return
    }
    guard let m = metrics.firstIndex(where: { $0.better != .neither }) ?? metrics.indices.first else {
      for (sample, _) in records.prefix(Self.most) { choose(sample, nil) }
      note = "The first images."
      return
    }
    note = "For each method the images that are best and worst by \(metrics[m].name), and one in the middle."
    let sign = metrics[m].better == .less ? -1.0 : 1
    for (k, use) in evaluation.plan.methods.enumerated() where use.described.control == nil {
      let values = records.map { (sample: $0.sample, value: sign * $0.record.explanations[k].values[m].value) }
        .filter { !$0.value.isNaN }.sorted { $0.value != $1.value ? $0.value > $1.value : $0.sample < $1.sample }
      guard let best = values.first, let worst = values.last, values.count > 1 else {
        if let only = values.first { choose(only.sample, nil) }
        continue
      }
      choose(best.sample, "best \(metrics[m].name) of \(use.name)")
      choose(worst.sample, "worst \(metrics[m].name) of \(use.name)")
      // Of images that cannot be had again, the nearest to the middle that was kept.
      let middle = values.count / 2
      let places = values.indices.dropFirst().dropLast().filter { isAtHand(values[$0].sample) }
      if k == 0, let place = places.min(by: { abs($0 - middle) < abs($1 - middle) }) {
        choose(values[place].sample, "\(place == middle ? "" : "near the ")median \(metrics[m].name) of \(use.name)")
      }
    }
  }

  private mutating func chooseMistakes(_ records: [(sample: Int, record: Record)]) {
    var mistakes: [(sample: Int, probability: Double)] = []
    for (sample, record) in records {
      guard let found = record.prediction, let truth = record.truth, truth != found.classIndex else { continue }
      mistakes.append((sample, found.probability))
    }
    mistakes.sort { $0.probability != $1.probability ? $0.probability > $1.probability : $0.sample < $1.sample }
    for mistake in mistakes.prefix(Self.most) { choose(mistake.sample, nil) }
    if !mistakes.isEmpty { note = "The mistakes of which the model was surest." }
  }

  private mutating func choose(_ sample: Int, _ reason: String?) {
    if let place = chosen.firstIndex(where: { $0.sample == sample }) {
      if let reason { chosen[place].reasons.append(reason) }
    } else if chosen.count < Self.most {
      chosen.append((sample, reason.map { [$0] } ?? []))
    }
  }
}
