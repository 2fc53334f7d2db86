import Engine
public import Graph
import Operators
import Parallel
public import Tensors
import Transforms

/// What is known of a model's values for an image input of one shape.
public struct Analysis: Sendable {
  /// Inner values that CAM methods may tap, in the order of the graph.
  public let layers: [FeatureLayer]
  /// The one that they tap by default.
  public let defaultLayer: FeatureLayer?
  /// Attention of tokens to tokens, [N, heads, tokens, tokens] each, in the order of the graph, and where the tokens
  /// lie.
  public let attentions: [(value: ValueID, grid: TokenGrid)]
  /// For each of them the tokens that its block gives on, all of one shape; nil where blocks cannot be told apart.
  public let blocks: [ValueID]?
  /// Feature maps to which a constant is added by channel, and that: convolutions with a bias, batch normalisations.
  public let biases: [(layer: FeatureLayer, bias: [Float])]
  /// Values by which the target can be differentiated: every operator between has a rule.
  let differentiable: Set<ValueID>
  private let shapes: [ValueID: Shape]
  private let axes: [ValueID: [Axis]]

  /// `marked` is the layer that the file names, which is the default one.
  init(
    _ emitter: Emitter, marked: (value: ValueID, name: String)?, input: ValueID, inputAxes: [Axis], target: ValueID
  ) throws {
    let trace = AxisTrace(emitter, input: input, axes: inputAxes)
    let found = FeatureLayers(emitter, input: input, axes: trace.axes, target: target)
    layers = found.all
    let shapes = emitter.operands.mapValues(\.shape)
    defaultLayer = try marked.map { try Self.layer($0.value, named: $0.name, shapes, trace.axes) } ?? found.best
    self.shapes = shapes
    biases = found.biases(emitter)
    differentiable = Self.differentiable(emitter, target)
    attentions = emitter.graph.nodes.compactMap { node in
      guard node.operation == "Softmax", let value = node.output(0), let own = trace.axes[value],
        own.count == 4, own[3].kind == .key, let grid = own[2].grid, own[0].factors.isEmpty || own[0].kind == .batch
      else { return nil }
      return (value, grid)
    }
    blocks = Self.blocks(emitter, attentions.map(\.value), from: input, to: target)
    axes = trace.axes
  }

  /// All ways lead through the tokens between two blocks: the last such value before the next attention. Of the last
  /// block it is the one that comes as far behind its attention.
  private static func blocks(
    _ emitter: Emitter, _ attentions: [ValueID], from input: ValueID, to target: ValueID
  ) -> [ValueID]? {
    let producers = emitter.graph.producers()
    let starts = attentions.compactMap { producers[$0] }
    var groups = [[ValueID]](repeating: [], count: starts.count)
    for value in emitter.passages(from: input, to: target) {
      guard let place = producers[value], let block = starts.lastIndex(where: { $0 < place }) else { continue }
      groups[block].append(value)
    }
    guard let count = groups.first?.count, count > 0, groups.count > 1,
      groups.dropLast().allSatisfy({ $0.count == count }), groups[groups.count - 1].count >= count
    else { return nil }
    let found = groups.map { $0[count - 1] }
    return Set(found.map { emitter.operands[$0]?.shape }).count == 1 ? found : nil
  }

  private static func differentiable(_ emitter: Emitter, _ target: ValueID) -> Set<ValueID> {
    // Quantised values have gradients too.
    func type(_ value: ValueID?) -> ElementType? { value.flatMap { try? emitter.operand($0).type } }
    func hasGradient(_ value: ValueID) -> Bool {
      type(value).map { $0 == .float32 || $0.steps != nil || $0.smallFloat != nil } ?? false
    }
    // Values that lead to the target, and of these the ones with a way that cannot be gone back.
    var useful: Set<ValueID> = [target]
    var blocked = Set<ValueID>()
    for node in emitter.graph.nodes.reversed() {
      let outputs = node.outputs.compactMap { $0 }.filter { useful.contains($0) && hasGradient($0) }
      guard !outputs.isEmpty else { continue }
      let rule = GradientRules.standard.rule(for: node)
      // Steps count as constants, whatever is behind them.
      if case .constant? = rule { continue }
      // Steps too, where numbers become whole without a scale.
      if node.operation.hasPrefix("Cast"), let x = type(node.input(0)), let y = type(outputs[0]), x != y,
        x.steps != nil || y.steps != nil
      {
        continue
      }
      let inputs = node.inputs.compactMap { $0 }.filter(hasGradient)
      useful.formUnion(inputs)
      if rule == nil || outputs.contains(where: blocked.contains) {
        blocked.formUnion(inputs)
      }
    }
    return useful.subtracting(blocked)
  }

  /// The image input of shape [channels, height, width], as a layer.
  public func inputLayer(_ input: ValueID, _ shape: Shape) -> FeatureLayer {
    FeatureLayer(
      input, channels: shape[0], grid: TokenGrid(rows: shape[1], columns: shape[2]))
  }

  /// How to read `value` as feature maps: by its axes where they were followed, else by its shape.
  public func layer(_ value: ValueID, named name: String) throws -> FeatureLayer {
    try Self.layer(value, named: name, shapes, axes)
  }

  private static func layer(
    _ value: ValueID, named name: String, _ shapes: [ValueID: Shape], _ axes: [ValueID: [Axis]]
  ) throws -> FeatureLayer {
    guard let shape = shapes[value] else {
      throw Failure(.invalidArgument, "the scores do not depend on the layer \(quoted(name))")
    }
    if let own = axes[value], let layer = FeatureLayer(value, own, shape: shape.dimensions) { return layer }
    if let layer = FeatureLayer(value, guessing: shape.dimensions) { return layer }
    throw Failure(
      .invalidArgument,
      "the layer \(quoted(name)) has the shape \(shape), which is no grid of feature maps; "
        + "`limpid inspect` lists the layers that are")
  }
}

extension Analysis {
  /// What an analysis is good for.
  struct Key: Hashable {
    let target: ValueID
    let feeds: [ValueID]
    let shapes: [Shape]
  }
}

extension Model {
  /// What is known of the values for images of shape [channels, height, width], with the scores `head` (nil: those that
  /// are found) and the further inputs of `call`.
  public func analysis(for shape: Shape, _ head: ScoreHead? = nil, _ call: Call? = nil) throws -> Analysis {
    let head = try head ?? requiredScores()
    let input = try imageInput()
    let rows = declaredBatch ?? 1
    let feeds = try feeds(for: shape, rows: rows, head, call)
    let key = Analysis.Key(target: head.logits, feeds: feeds.map(\.value), shapes: feeds.map(\.shape))
    return try analyses.value(key) {
      let emitter = try engine.trace(feeds: feeds, fetches: [head.logits], parallel: .serial, progress: .unwatched)
      return try Analysis(
        emitter, marked: metadata.layers.first.map { try (value: value(named: $0), name: $0) }, input: input,
        inputAxes: [
          Axis(.batch, rows), Axis(.channel, shape[0]), Axis(.row, shape[1]), Axis(.column, shape[2]),
        ], target: head.logits)
    }
  }

  /// What is fed for `rows` images of shape [channels, height, width]: they, and the further inputs as `call` has them,
  /// or else as the file declares them.
  public func feeds(
    for shape: Shape, rows: Int, _ head: ScoreHead, _ call: Call?
  ) throws -> [(value: ValueID, type: ElementType, shape: Shape)] {
    let image = try imageInput()
    let own = (value: image, type: ElementType.float32, shape: try Shape(checking: [rows] + shape.dimensions))
    guard let call, !call.feeds.isEmpty else { return [own] + (graph.feeds(besides: image, rows: rows) ?? []) }
    let others = try FurtherInputs(self, call, [head.logits])
    try checkComplete(Set([image] + others.values), for: [head.logits])
    return try [own] + others.operands(rows: rows)
  }

  /// The further inputs of `call` for `rows` rows of its image `image`. Throws where the logits need one that is not
  /// fed.
  public func furtherInputs(
    of image: Int, rows: Int, _ head: ScoreHead, _ call: Call
  ) throws -> [(value: ValueID, tensor: Tensor)] {
    let others = try FurtherInputs(self, call, [head.logits])
    try checkComplete(Set([imageInput()] + others.values), for: [head.logits])
    return try others.tensors(for: [image], rows: rows)
  }

  /// Whether the default layer has feature maps by which the target can be differentiated; true where that depends on
  /// what is fed.
  public var hasDifferentiableLayer: Bool {
    guard let shape = fixedInputShape else { return possibleScores != nil && input != nil }
    guard let analysis = try? analysis(for: shape, possibleScores), let layer = analysis.defaultLayer else {
      return false
    }
    return analysis.differentiable.contains(layer.value)
  }

  /// Whether the target can be differentiated by the image input; true where that depends on what is fed.
  public var hasDifferentiableInput: Bool {
    guard let input, let shape = fixedInputShape else { return possibleScores != nil && input != nil }
    return (try? analysis(for: shape, possibleScores).differentiable.contains(input.value)) ?? false
  }

  /// The layers that CAM methods may tap, the default one first: of each size of the maps the last that has as many
  /// maps as most of that size.
  public var listedLayers: [FeatureLayer] {
    guard let shape = fixedInputShape, let analysis = try? analysis(for: shape, possibleScores),
      let best = analysis.defaultLayer
    else { return [] }
    let sizes = Dictionary(grouping: analysis.layers) { [$0.grid.rows, $0.grid.columns] }
    let common = sizes.values.compactMap { layers -> FeatureLayer? in
      let widths = Dictionary(grouping: layers, by: \.channels)
      return widths.values.max { ($0.count, $1[0].channels) < ($1.count, $0[0].channels) }?.last
    }
    // Windows that are cut out and put back again have few layers of their size.
    return [best]
      + common.filter { layer in
        layer.value != best.value && (sizes[[layer.grid.rows, layer.grid.columns]]?.count ?? 0) > 3
      }.sorted { $1.value < $0.value }
  }

  /// [channels, height, width] at the image input, where all are fixed, and the shapes of all other inputs too.
  public var fixedInputShape: Shape? {
    guard let input, graph.feeds(besides: input.value, rows: 1) != nil else { return nil }
    guard let channels = inputSize.channels, let height = inputSize.height, let width = inputSize.width else {
      return nil
    }
    return try? Shape(checking: [channels, height, width])
  }
}
