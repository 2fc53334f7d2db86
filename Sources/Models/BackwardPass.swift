import Engine
public import Graph
import Operators
public import Parallel
public import Tensors
public import Transforms

/// A model's graph with the backward pass from one value to some others, for feeds of fixed shapes. It runs in two
/// parts: late it is fed what the target's value is multiplied by; the sum of that is differentiated, and the gradient at
/// each of the values, in their shapes, is what a round gives.
public enum BackwardPass {
  /// What is differentiated, and by what.
  public struct Request: Sendable {
    public var feeds: [(value: ValueID, type: ElementType, shape: Shape)]
    public var target: ValueID
    public var values: [ValueID]
    /// Others that are to be fetched of the forward pass.
    public var early: [ValueID] = []
    public var rules = GradientRules.standard
    /// For each of `values` another target of its own.
    public var exits: Exits?

    public init(feeds: [(value: ValueID, type: ElementType, shape: Shape)], target: ValueID, values: [ValueID]) {
      self.feeds = feeds
      self.target = target
      self.values = values
    }

    var key: Key {
      Key(
        feeds: feeds.map(\.value), types: feeds.map(\.type), shapes: feeds.map(\.shape), target: target,
        values: values, early: early, rules: rules.name, exits: exits)
    }
  }

  /// Targets that leave the graph early: the target as it were, were `of[i]` in the place of `end`.
  public struct Exits: Hashable, Sendable {
    let end: ValueID
    let of: [ValueID]

    public init(of values: [ValueID], inPlaceOf end: ValueID) { (of, self.end) = (values, end) }
  }

  struct Key: Hashable {
    let feeds: [ValueID]
    let types: [ElementType]
    let shapes: [Shape]
    let target: ValueID
    let values: [ValueID]
    let early: [ValueID]
    let rules: String
    let exits: Exits?
  }

  fileprivate static func run(_ engine: Engine, _ request: Request, _ parallel: Parallel) throws -> TwoPartRun {
    var emitter = try engine.trace(
      feeds: request.feeds, fetches: [request.target] + request.values + request.early, parallel: parallel,
      progress: .unwatched)
    let target = try emitter.operand(request.target)
    guard target.type == .float32 else {
      throw Failure(
        .unsupported,
        "the target \(quoted(engine.graph.name(of: request.target))) is \(target.type), not a "
          + "floating-point value; it has no gradient")
    }
    let weights = emitter.feed(.float32, target.shape)
    var gradients: [ValueID] = []
    if let exits = request.exits {
      for (value, exit) in zip(request.values, exits.of) {
        let target = try emitter.computed(request.target, with: exit, for: exits.end)
        gradients += try emitter.differentiate(target, seed: weights, at: [value], rules: request.rules)
      }
    } else {
      gradients = try emitter.differentiate(request.target, seed: weights, at: request.values, rules: request.rules)
    }
    return TwoPartRun(
      engine.extended(to: emitter.graph), feeds: request.feeds.map(\.value), early: request.early,
      late: (weights, target), fetches: gradients)
  }
}

extension Model {
  /// The backward pass that `request` asks for, made where there is none yet.
  public func backwardPass(_ request: BackwardPass.Request, _ parallel: Parallel) throws -> TwoPartRun {
    try backwardPasses.value(request.key) { try BackwardPass.run(engine, request, parallel) }
  }

  /// d⟨`weights`, value `target`⟩ / d each of the values `names`, from named values; no preprocessing.
  public func gradient(
    _ feeds: [(name: String, tensor: Tensor)], of target: String, weights: Tensor?, at names: [String], _ call: Call,
    _ progress: Progress
  ) throws -> [Tensor] {
    try call.refuseMethodSettings(for: "taking gradients")
    try call.refuseImageSettings(for: "taking gradients")
    let parallel = parallel(for: call)
    let given = try checked(feeds, for: areInBodies([target] + names) ? needs([target] + names) : [target])
    let (engine, values) = try located([target] + names, given, parallel)
    let request = BackwardPass.Request(
      feeds: given.map { ($0.value, $0.tensor.type, $0.tensor.shape) }, target: values[0],
      values: Array(values.dropFirst()))
    let pass = try backwardPasses.value(request.key) { try BackwardPass.run(engine, request, parallel) }
    if let weights, weights.type.computed != .float32 || weights.shape != pass.late.shape {
      throw Failure(
        .invalidArgument,
        "the weights are \(weights.type) \(weights.shape); the target \(quoted(target)) has the shape "
          + "\(pass.late.shape)")
    }
    let ones = try weights ?? Tensor([Float](repeating: 1, count: pass.late.shape.count), pass.late.shape)
    var result: [Tensor] = []
    try pass.run(
      given.map(\.tensor), parallel: parallel, progress: progress, late: { _ in [ones] }
    ) { result = $1 }
    return result
  }
}
