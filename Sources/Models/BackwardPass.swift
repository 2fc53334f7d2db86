import Engine
public import Graph
public import Operators
public import Parallel
public import Tensors
public import Transforms

/// A model's graph with the backward pass from one value to some others, for feeds of fixed shapes.
public final class BackwardPass: Sendable {
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
  }

  /// Targets that leave the graph early: the target as it were, were `of[i]` in the place of `end`.
  public struct Exits: Hashable, Sendable {
    let end: ValueID
    let of: [ValueID]

    public init(of values: [ValueID], inPlaceOf end: ValueID) { (of, self.end) = (values, end) }
  }

  /// Type and shape of the target, and so of the weights that it is multiplied by.
  public let target: Operand
  private let engine: Engine
  private let request: Request
  private let weights: ValueID
  private let gradients: [ValueID]

  fileprivate init(_ engine: Engine, _ request: Request, _ parallel: Parallel) throws {
    self.request = request
    var emitter = try engine.trace(
      feeds: request.feeds, fetches: [request.target] + request.values + request.early, parallel: parallel,
      progress: .unwatched)
    target = try emitter.operand(request.target)
    guard target.type == .float32 else {
      throw Failure(
        .unsupported,
        "the target \(quoted(engine.graph.name(of: request.target))) is \(target.type), not a "
          + "floating-point value; it has no gradient")
    }
    weights = emitter.feed(.float32, target.shape)
    if let exits = request.exits {
      var gradients: [ValueID] = []
      for (value, exit) in zip(request.values, exits.of) {
        let target = try emitter.computed(request.target, with: exit, for: exits.end)
        gradients += try emitter.differentiate(target, seed: weights, at: [value], rules: request.rules)
      }
      self.gradients = gradients
    } else {
      gradients = try emitter.differentiate(request.target, seed: weights, at: request.values, rules: request.rules)
    }
    self.engine = engine.extended(to: emitter.graph)
  }

  /// Runs the forward pass once, and the backward pass once for each of the tensors that `weights` makes of the
  /// request's `early` values: the target's value is multiplied by it and summed, and that sum is differentiated.
  /// `body` gets the gradient at each of the request's values, in their shapes.
  public func run(
    _ feeds: [Tensor], parallel: Parallel, progress: Progress,
    weights makeWeights: ([Tensor]) throws -> [Tensor], _ body: (_ round: Int, _ gradients: [Tensor]) throws -> Void
  ) throws {
    try engine.run(
      zip(request.feeds, feeds).map { (value: $0.value, tensor: $1) }, early: request.early, late: (weights, target),
      fetch: gradients, parallel: parallel, progress: progress, rounds: makeWeights, body)
  }
}

/// Backward passes that were made, the last ones used first.
final class BackwardPasses: Sendable {
  private struct Key: Hashable {
    let feeds: [ValueID]
    let types: [ElementType]
    let shapes: [Shape]
    let target: ValueID
    let values: [ValueID]
    let early: [ValueID]
    let rules: String
    let exits: BackwardPass.Exits?
  }

  private let made = Guarded<[(key: Key, pass: BackwardPass)]>([])
  private static let capacity = 8

  func pass(_ engine: Engine, _ request: BackwardPass.Request, _ parallel: Parallel) throws -> BackwardPass {
    let key = Key(
      feeds: request.feeds.map(\.value), types: request.feeds.map(\.type), shapes: request.feeds.map(\.shape),
      target: request.target, values: request.values, early: request.early, rules: request.rules.name,
      exits: request.exits)
    if let known = made.withLock({ made in made.first { $0.key == key }?.pass }) { return known }
    let pass = try BackwardPass(engine, request, parallel)
    made.withLock { made in
      made.insert((key, pass), at: 0)
      if made.count > Self.capacity { made.removeLast() }
    }
    return pass
  }
}

extension Model {
  /// The backward pass that `request` asks for, made where there is none yet.
  public func backwardPass(_ request: BackwardPass.Request, _ parallel: Parallel) throws -> BackwardPass {
    try backwardPasses.pass(engine, request, parallel)
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
    let pass = try backwardPasses.pass(engine, request, parallel)
    if let weights, weights.type.computed != .float32 || weights.shape != pass.target.shape {
      throw Failure(
        .invalidArgument,
        "the weights are \(weights.type) \(weights.shape); the target \(quoted(target)) has the shape "
          + "\(pass.target.shape)")
    }
    let ones = try weights ?? Tensor([Float](repeating: 1, count: pass.target.shape.count), pass.target.shape)
    var result: [Tensor] = []
    try pass.run(
      given.map(\.tensor), parallel: parallel, progress: progress, weights: { _ in [ones] }
    ) { result = $1 }
    return result
  }
}
