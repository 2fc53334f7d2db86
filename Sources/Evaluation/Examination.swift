import Explainers
import Explanations
import Images
import Metrics
import Models
import Parallel
import Tensors

/// One image, looked at by all methods and metrics of a plan.
struct Examination {
  private let evaluation: Evaluation
  private let sample: Sample
  private let image: Image

  init(_ evaluation: Evaluation, _ sample: Sample, _ image: Image) {
    (self.evaluation, self.sample, self.image) = (evaluation, sample, image)
  }

  private var plan: Plan { evaluation.plan }
  private var model: Model { evaluation.model }

  func record(_ clock: inout Stopwatch, _ progress: Progress) throws -> Record {
    let metrics = plan.explanationMetrics
    // Explaining and measuring cost about alike; classifying hardly anything.
    let parts = progress.parts([0.1] + plan.methods.flatMap { _ in [1.0] + metrics.map { _ in 1.0 } })
    return try image.withView { view in
      let input = ImageInput.pixels(view)
      let scores = try clock.measure("classify") { try predict(input, parts[0]) }
      if scores.scores.indices.contains(scores.predicted), scores.scores[scores.predicted].isNaN {
        throw Failure(.unsupported, "the model's scores of this image are NaN, so that it predicts no class")
      }
      let wanted = try target(scores.probabilities, scores.predicted)
      var explained: [Record.Explained] = []
      var part = 1
      for use in plan.methods {
        let explanation = try clock.measure(use.name) { try explain(input, use, wanted, parts[part]) }
        part += 1
        var values: [Record.Value] = []
        for metric in metrics {
          values.append(
            try clock.measure("\(use.name), \(metric.name)") {
              try locating(metric.name) { try measure(metric, input, explanation, use, parts[part]) }
            })
          part += 1
        }
        explained.append(
          Record.Explained(
            classIndex: explanation.classIndex, score: Double(explanation.score),
            isDegenerate: explanation.isDegenerate,
            values: values))
      }
      return Record(
        name: sample.name, truth: sample.truth, key: sample.key, fingerprint: evaluation.fingerprint,
        outcome: .found(try prediction(scores), explained), seconds: clock.seconds)
    }
  }

  // MARK: - The classifier

  private func predict(
    _ input: ImageInput, _ progress: Progress
  ) throws -> (probabilities: [Float], scores: [Float], predicted: Int) {
    if !plan.needsScores, model.scores == nil, plan.call.output == nil { return ([], [], -1) }
    let head = try model.requiredScores(plan.call.output)
    var call = plan.call
    call.imageCount = 1
    var found: (probabilities: [Float], scores: [Float], predicted: Int) = ([], [], 0)
    try model.forEachBatch(of: model.stream([input], progress), fetch: [head.output], call, progress) { batch in
      let scores = try Scores(batch.tensors[0], count: batch.count, of: head)
      found = (scores.probabilities(0, isSingle: head.isSingle), Array(scores[0]), scores.predicted(0))
    }
    return found
  }

  private func prediction(_ scores: (probabilities: [Float], scores: [Float], predicted: Int)) throws
    -> Record.Prediction
  {
    let values = scores.probabilities
    guard scores.predicted >= 0 else { return Record.Prediction(classIndex: -1, probability: .nan) }
    var found = Record.Prediction(classIndex: scores.predicted, probability: Double(values[scores.predicted]))
    if let truth = sample.truth, !evaluation.isOfValues {
      guard values.indices.contains(truth) else {
        throw Failure(.invalidArgument, "the true class is \(truth), but the model has \(values.count)")
      }
      let row = scores.scores
      found.truthProbability = Double(values[truth])
      // NaN comes last.
      let own = row[truth]
      found.truthRank = row.indices.count { i in
        row[i] > own || row[i] == own && i < truth || own.isNaN && (!row[i].isNaN || i < truth)
      }
    }
    if !plan.scoreMetrics.isEmpty {
      let row = try Tensor(scores.scores, Shape(checking: [1, scores.scores.count]))
      found.values = try plan.scoreMetrics.map { use in
        guard let truth = sample.truth else { return Record.Value(value: .nan) }
        return try locating(use.name) {
          Record.Value(try Metrics.measure(use.metric, maps: row, classes: [truth], use.call, .unwatched), use)
        }
      }
      if plan.scoreMetrics.contains(where: { $0.metric.name == "confusion" }) {
        found.probabilities = values
      }
    }
    return found
  }

  /// The class to explain; nil for the predicted one.
  private func target(_ probabilities: [Float], _ predicted: Int) throws -> Int? {
    switch plan.target {
    case .predicted: return nil
    case .index(let index): return index
    case .least: return probabilities.indices.min { probabilities[$0] < probabilities[$1] }
    case .truth:
      guard let truth = sample.truth else { throw Failure(.invalidArgument, "its true class is not known") }
      return truth
    case .table(let table):
      guard let truth = sample.truth, table.indices.contains(truth) else {
        throw Failure(
          .invalidArgument,
          "the table of classes to explain has \(table.count) rows, but none for the true class "
            + (sample.truth.map(String.init) ?? "(not known)"))
      }
      return table[truth]
    }
  }

  // MARK: - Explanations

  private func explain(
    _ input: ImageInput, _ use: MethodUse, _ wanted: Int?, _ progress: Progress
  ) throws -> Explanation {
    let found = try locating(use.name) {
      try model.explain([input], classes: [[wanted]], method: use.method, use.call, progress)
    }
    guard found.count == 1 else {
      throw Failure(
        .unsupported, "\(use.name) gives \(found.count) maps of one class; set its parameters so that it gives one")
    }
    return found[0]
  }

  private func measure(
    _ use: MetricUse, _ input: ImageInput, _ explanation: Explanation, _ method: MethodUse, _ progress: Progress
  ) throws -> Record.Value {
    var call = use.call
    if use.reads("words") {
      return try WordsFound(explanation, sample.things ?? [])?.value(use, call, progress) ?? Record.Value(value: .nan)
    }
    if use.reads("boxes") || use.reads("mask"), call.draws["boxes"] == nil, call.draws["mask"] == nil {
      if use.reads("mask"), let mask = sample.mask {
        let mask = try mask()
        call.draws["mask"] = try Tensor(mask.values, .uint8, Shape(checking: [1, mask.height, mask.width]))
      } else if let boxes = sample.boxes, use.reads("boxes") {
        return try measureInBoxes(boxes, use, input, explanation, call, progress)
      } else {
        // Nobody says where the object is.
        return Record.Value(value: .nan)
      }
    }
    let own = use.metric.needsMethod ? MethodCall(method: method.method.name, call: method.call) : nil
    return Record.Value(
      try model.measure(use.metric, [input], [explanation], method: own, call, progress), use)
  }

  /// Boxes are in pixels of the image, as the map is. A metric that enlarges maps to a size of its own, as programs do
  /// that squeeze every image to a square, gets the map over what the model saw, and the boxes in those pixels.
  private func measureInBoxes(
    _ boxes: [BoundingBox], _ use: MetricUse, _ input: ImageInput, _ explanation: Explanation, _ call: Call,
    _ progress: Progress
  ) throws -> Record.Value {
    var call = call
    let size = try use.enlargedSize
    let region = explanation.field.region
    let (across, down) = size > 0 ? (Double(size) / region.width, Double(size) / region.height) : (1, 1)
    let (left, top) = size > 0 ? (region.x, region.y) : (0, 0)
    let corners = boxes.flatMap { box in
      [(box.x1 - left) * across, (box.y1 - top) * down, (box.x2 - left) * across, (box.y2 - top) * down]
    }
    call.draws["boxes"] = try Tensor(corners, .float64, Shape(checking: [1, boxes.count, 4]))
    guard size > 0 else {
      return Record.Value(try model.measure(use.metric, [input], [explanation], call, progress), use)
    }
    let grid = explanation.grid
    let map = try Tensor(grid.values, Shape(checking: [1, grid.height, grid.width]))
    if use.reads("range"), call.draws["range"] == nil {
      call.draws["range"] = try Tensor([explanation.range.lowerBound, explanation.range.upperBound], [1, 2])
    }
    return Record.Value(
      try Metrics.measure(
        use.metric, maps: map, classes: [explanation.classIndex < 0 ? nil : explanation.classIndex], call, progress),
      use)
  }
}

extension MetricUse {
  /// The side to which the metric enlarges maps itself, in whose pixels boxes are then; 0: none.
  fileprivate var enlargedSize: Int {
    get throws {
      let settings = try settings
      guard settings.values.contains(where: { $0.name == "size" }) else { return 0 }
      let size = try settings.integer("size")
      return size > 0 ? size : try settings.word("compat") == "none" ? 0 : 260
    }
  }
}

extension Record.Value {
  init(_ measurement: Measurement, _ use: MetricUse) {
    value = measurement.values.first ?? .nan
    curve = measurement.curve?.array(of: Double.self) ?? []
    let given = (try? use.settings.values) ?? []
    chosen = measurement.parameters.filter { used in !given.contains { $0.name == used.name && $0.value == used.value }
    }
  }
}
