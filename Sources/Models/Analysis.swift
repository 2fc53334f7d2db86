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
  private let made = Mutex<[(shape: Shape, analysis: Analysis)]>([])

  func analysis(for shape: Shape, _ make: () throws -> Analysis) rethrows -> Analysis {
    if let known = made.withLock({ made in made.first { $0.shape == shape }?.analysis }) { return known }
    let analysis = try make()
    made.withLock { made in
      made.insert((shape, analysis), at: 0)
      if made.count > 4 { made.removeLast() }
    }
    return analysis
  }
}

extension Model {
  /// What is known of the values for images of shape [channels, height, width] at the input.
  public func analysis(for shape: Shape) throws -> Analysis {
    let head = try requiredScores()
    guard let input else { throw Failure(.unsupported, "the model has no image input") }
    let rows = declaredBatch ?? 1
    return try analyses.analysis(for: shape) {
      let emitter = try engine.trace(
        feeds: [(input.value, input.type, Shape(checking: [rows] + shape.dimensions))], fetches: [head.logits],
        parallel: parallel)
      return try Analysis(
        emitter, marked: metadata.layers.first.map { try (value: value(named: $0), name: $0) }, input: input.value,
        inputAxes: [
          Axis(.batch, rows), Axis(.channel, shape[0]), Axis(.row, shape[1]), Axis(.column, shape[2]),
        ], target: head.logits)
    }
  }

  /// Whether some layer has feature maps, and the target can be differentiated by them; true where that depends on the
  /// image's size.
  public var hasDifferentiableLayer: Bool {
    guard let head = scores, let input else { return false }
    guard let shape = fixedInputShape else { return true }
    guard let layer = try? analysis(for: shape).defaultLayer else { return false }
    let feeds = [(value: input.value, type: input.type, shape: Shape(trusted: [declaredBatch ?? 1] + shape.dimensions))]
    let request = BackwardPass.Request(feeds: feeds, target: head.logits, values: [layer.value])
    return (try? backwardPass(request, parallel)) != nil
  }

  /// Whether the target can be differentiated by the image input; true where that depends on the image's size.
  public func canDifferentiateInput(_ rules: GradientRules) -> Bool {
    guard let head = scores, let input else { return false }
    guard let shape = fixedInputShape else { return true }
    let feeds = [(value: input.value, type: input.type, shape: Shape(trusted: [declaredBatch ?? 1] + shape.dimensions))]
    var request = BackwardPass.Request(feeds: feeds, target: head.logits, values: [input.value])
    request.rules = rules
    return (try? backwardPass(request, parallel)) != nil
  }

  /// [channels, height, width] at the image input, where all are fixed.
  public var fixedInputShape: Shape? {
    guard let channels = inputSize.channels, let height = inputSize.height, let width = inputSize.width else { return nil }
    return try? Shape(checking: [channels, height, width])
  }
}
