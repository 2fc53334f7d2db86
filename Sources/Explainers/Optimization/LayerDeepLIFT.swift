import Engine
import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors
import Transforms

/// DeepLIFT (Shrikumar, Greenside & Kundaje, ICML 2017) of a layer: multipliers of the rescale rule from the target
/// back to the layer, times A(x) − A(baseline). Where the rules hold all the way they sum to y(x) − y(baseline). The
/// grid is the mean over the channels.
///
/// Captum 0.9 loses the rule of a max-pool that a ReLU feeds, but for one right behind the layer, takes the plain
/// gradient of SiLU as a whole, and has no rule for products.
struct LayerDeepLIFT: Explainer {
  let name = "layer-deep-lift"
  let summary = "What each value of a layer adds to the difference that the image makes against a baseline."
  let tapsLayers = true
  let draws = [Draw("baseline", "float32 [channels, height, width], what the image is compared with; else `value`.")]
  let parameters = [
    Parameter("value", default: 0.0, in: -1e6...1e6, "The baseline everywhere, as the model is fed.")
      .read(withoutDraws: "baseline"),
    Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"),
    Parameter("compat", choices: ["none", "captum"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let scoring = try Scoring(request, "of", else: .logit)
    return try request.explainEach(compat) { subject, progress in
      let layers = try request.featureLayers(subject.shape)
      let maps = try layers.enumerated().map { i, layer in
        let share = progress.range(i..<i + 1, of: layers.count)
        return try explain(request, subject, layer, scoring, compat, share)
      }
      return try subject.classes.indices.map { c in [try DrawnMap.mean(maps.map { $0[c] })] }
    }
  }

  private func explain(
    _ request: ExplanationRequest, _ subject: Subject, _ layer: FeatureLayer, _ scoring: Scoring, _ compat: Compat,
    _ progress: Progress
  ) throws -> [DrawnMap] {
    let model = request.model
    let parallel = model.parallel(for: request.call)
    let feeds =
      try [(value: model.imageInput(), tensor: Self.pair(request, subject))]
      + model.furtherInputs(of: subject.image, rows: 2, scoring.head, request.call)
    var pass = BackwardPass.Request(
      feeds: feeds.map { ($0.value, $0.tensor.type, $0.tensor.shape) }, target: scoring.head.logits,
      values: [layer.value])
    pass.early = [layer.value, scoring.head.logits]
    pass.rules = try Self.rules(request, subject, layer, scoring.head, compat).table
    let backward = try model.backwardPass(pass, parallel)
    var activations: Tensor?
    var maps: [DrawnMap] = []
    try backward.run(feeds.map(\.tensor), parallel: parallel, progress: progress) { early in
      activations = early[0]
      let rows = try LogitRows(early[1], count: 2)
      return try subject.classes.map { index in
        // Both halves, so that what varies together has one multiplier.
        let weights = scoring.gradient(rows[0], class: index)
        return try Tensor(weights + weights, backward.late.shape)
      }
    } _: { _, gradients in
      guard let activations else { throw Failure(.internal, "a gradient came before its layer") }
      let (image, baseline) = (try LayerMaps(layer, activations, row: 0), try LayerMaps(layer, activations, row: 1))
      let multipliers = try LayerMaps(layer, gradients[0], row: 0)
      let attribution = multipliers.combined(image.combined(baseline, -), *)
      let mean = attribution.sum().map { $0 / Float(max(1, attribution.channels)) }
      let shape = try Shape(checking: [attribution.channels, attribution.rows, attribution.columns])
      maps.append(
        DrawnMap(
          grid: attribution.heatmap(mean), details: [("attribution", try Tensor(attribution.values, shape))]))
    }
    return maps
  }

  /// The image, then its baseline.
  private static func pair(_ request: ExplanationRequest, _ subject: Subject) throws -> Tensor {
    let dimensions = subject.shape.dimensions
    let isBatch = request.call.draws["baseline"]?.shape.rank == 4
    let given = try request.draw("baseline", isBatch ? [1] + dimensions : dimensions)
    let pair = try Tensor(.float32, Shape(checking: [2] + dimensions))
    let target = pair.data.assumingMemoryBound(to: Float.self)
    let count = subject.shape.count
    withExtendedLifetime(subject.input) { target.update(from: subject.start, count: count) }
    if let given {
      (target + count).update(from: given.data.assumingMemoryBound(to: Float.self), count: count)
    } else {
      (target + count).update(repeating: Float(try request.settings.number("value")), count: count)
    }
    return pair
  }

  private static func rules(
    _ request: ExplanationRequest, _ subject: Subject, _ layer: FeatureLayer, _ head: ScoreHead, _ compat: Compat
  ) throws -> DeepLIFTRules {
    let model = request.model
    func trace(_ rows: Int) throws -> Emitter {
      try model.engine.trace(
        feeds: model.feeds(for: subject.shape, rows: rows, head, request.call),
        fetches: [head.logits, layer.value], parallel: model.parallel(for: request.call), progress: request.progress)
    }
    let one: Emitter, two: Emitter
    do {
      (one, two) = (try trace(1), try trace(2))
    } catch let failure as Failure where failure.kind == .invalidModel {
      throw Failure(
        .unsupported,
        "an image and its baseline must run together here, and this model does not take two images: "
          + failure.message)
    }
    let paired = two.operands.filter { value, operand in
      guard let single = one.operands[value]?.shape, single.rank > 0, operand.shape.rank == single.rank else {
        return false
      }
      return operand.shape[0] == 2 * single[0] && operand.shape.dimensions.dropFirst() == single.dimensions.dropFirst()
    }
    let plain = compat == .captum ? Self.plain(model.graph, layer.value) : []
    return DeepLIFTRules(paired: Set(paired.keys), plain: plain, splitsProducts: compat != .captum)
  }

  /// Max-pools behind a ReLU that is not the layer, and sigmoids that a SiLU is made of.
  private static func plain(_ graph: Graph, _ layer: ValueID) -> Set<ValueID> {
    let producers = graph.producers(), consumers = graph.consumers()
    return Set(
      graph.nodes.compactMap { node -> ValueID? in
        guard let output = node.output(0), let source = node.input(0) else { return nil }
        switch node.operation {
        case "MaxPool":
          guard source != layer, let maker = producers[source] else { return nil }
          return graph.nodes[maker].operation == "Relu" ? output : nil
        case "Sigmoid":
          let isOfSiLU = (consumers[output] ?? []).contains { reader in
            graph.nodes[reader].operation == "Mul" && graph.nodes[reader].inputs.contains(source)
          }
          return isOfSiLU ? output : nil
        default: return nil
        }
      })
  }
}
