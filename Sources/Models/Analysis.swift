import Engine
public import Graph
import Operators
import Parallel
import Synchronization
public import Tensors
public import Transforms

/// What is known of a model's values for an image input of one shape.
public struct Analysis: Sendable {
  /// Inner values that CAM methods may tap, in the order of the graph.
  public let layers: [FeatureLayer]
  /// The one that they tap by default.
  public let defaultLayer: FeatureLayer?
  /// Feature maps to which a constant is added by channel, and that: convolutions with a bias, batch normalisations.
  public let biases: [(layer: FeatureLayer, bias: [Float])]
  private let shapes: [ValueID: Shape]
  private let axes: [ValueID: [Axis]]

  /// `marked` is the layer that the file names, which is the default one.
  init(_ emitter: Emitter, marked: (value: ValueID, name: String)?, input: ValueID, inputAxes: [Axis], target: ValueID) throws {
    let trace = AxisTrace(emitter, input: input, axes: inputAxes)
    let found = FeatureLayers(emitter, input: input, axes: trace.axes, target: target)
    layers = found.all
    let shapes = emitter.operands.mapValues(\.shape)
    defaultLayer = try marked.map { try Self.layer($0.value, named: $0.name, shapes, trace.axes) } ?? found.best
    self.shapes = shapes
    biases = found.biases(emitter)
    axes = trace.axes
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
      .invalidArgument, "the layer \(quoted(name)) has the shape \(shape), which is no grid of feature maps; "
        + "`limpid inspect` lists the layers that are")
  }
}

/// Analyses that were made, the last ones used first.
final class Analyses: Sendable {
  struct Key: Hashable {
    let target: ValueID
    let feeds: [ValueID]
    let shapes: [Shape]
  }

  private let made = Mutex<[(key: Key, analysis: Analysis)]>([])

  func analysis(for key: Key, _ make: () throws -> Analysis) rethrows -> Analysis {
    if let known = made.withLock({ made in made.first { $0.key == key }?.analysis }) { return known }
    let analysis = try make()
    made.withLock { made in
      made.insert((key, analysis), at: 0)
      if made.count > 4 { made.removeLast() }
    }
    return analysis
  }
}

extension Model {
  /// What is known of the values for images of shape [channels, height, width], with the scores `head` (nil: those that are
  /// found) and the further inputs of `call`.
  public func analysis(for shape: Shape, _ head: ScoreHead? = nil, _ call: Call? = nil) throws -> Analysis {
    let head = try head ?? requiredScores()
    let input = try imageInput()
    let rows = declaredBatch ?? 1
    let feeds = try feeds(for: shape, rows: rows, head, call)
    let key = Analyses.Key(target: head.logits, feeds: feeds.map(\.value), shapes: feeds.map(\.shape))
    return try analyses.analysis(for: key) {
      let emitter = try engine.trace(feeds: feeds, fetches: [head.logits], parallel: parallel)
      return try Analysis(
        emitter, marked: metadata.layers.first.map { try (value: value(named: $0), name: $0) }, input: input,
        inputAxes: [
          Axis(.batch, rows), Axis(.channel, shape[0]), Axis(.row, shape[1]), Axis(.column, shape[2]),
        ], target: head.logits)
    }
  }

  /// What is fed for `rows` images of shape [channels, height, width]: they, and the further inputs as `call` has them, or
  /// else as the file declares them.
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

  /// Whether some layer has feature maps, and the target can be differentiated by them; true where that depends on what is
  /// fed.
  public var hasDifferentiableLayer: Bool {
    guard let shape = fixedInputShape else { return possibleScores != nil && input != nil }
    guard let head = possibleScores, let layer = try? analysis(for: shape, head).defaultLayer else { return false }
    return canDifferentiate(layer.value, shape, .standard)
  }

  /// Whether the target can be differentiated by the image input; true where that depends on what is fed.
  public func canDifferentiateInput(_ rules: GradientRules) -> Bool {
    guard let input, let shape = fixedInputShape else { return possibleScores != nil && input != nil }
    return canDifferentiate(input.value, shape, rules)
  }

  private func canDifferentiate(_ value: ValueID, _ shape: Shape, _ rules: GradientRules) -> Bool {
    guard let head = possibleScores, let input else { return false }
    let rows = declaredBatch ?? 1
    let others = graph.feeds(besides: input.value, rows: rows) ?? []
    let feeds = [(value: input.value, type: ElementType.float32, shape: Shape(trusted: [rows] + shape.dimensions))] + others
    var request = BackwardPass.Request(feeds: feeds, target: head.logits, values: [value])
    request.rules = rules
    return (try? backwardPass(request, parallel)) != nil
  }

  /// [channels, height, width] at the image input, where all are fixed, and the shapes of all other inputs too.
  public var fixedInputShape: Shape? {
    guard let input, graph.feeds(besides: input.value, rows: 1) != nil else { return nil }
    guard let channels = inputSize.channels, let height = inputSize.height, let width = inputSize.width else { return nil }
    return try? Shape(checking: [channels, height, width])
  }
}
