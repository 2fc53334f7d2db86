public import Graph
public import Kernels
public import Parallel
public import Tensors

/// What is known of a value while a plan is made.
public struct Operand: Sendable {
  public let type: ElementType
  /// In ONNX order of axes, whatever the layout.
  public let shape: Shape
  public let layout: Layout
  /// The value itself, in ONNX order, where it does not depend on what will be fed.
  public let constant: Tensor?

  public init(_ type: ElementType, _ shape: Shape, layout: Layout = .standard, constant: Tensor? = nil) {
    self.type = type
    self.shape = shape
    self.layout = layout
    self.constant = constant
  }
}

/// Where one run of a step finds its operands. Pointers suit their element types; those to buffers are 64-byte
/// aligned.
public struct Invocation {
  public let inputs: [UnsafeRawPointer?]
  public let outputs: [UnsafeMutableRawPointer?]
  /// As many bytes as the step asked for; contents left over from other steps.
  public let workspace: UnsafeMutableRawPointer
  public let parallel: Parallel

  public init(
    inputs: [UnsafeRawPointer?], outputs: [UnsafeMutableRawPointer?], workspace: UnsafeMutableRawPointer,
    parallel: Parallel
  ) {
    self.inputs = inputs
    self.outputs = outputs
    self.workspace = workspace
    self.parallel = parallel
  }

  /// Input `i`, which is present, as elements of type `T`.
  public func input<T>(_ i: Int, as _: T.Type = T.self) -> UnsafePointer<T> {
    inputs[i]!.assumingMemoryBound(to: T.self)
  }

  /// Output `i`, which is wanted, as elements of type `T`.
  public func output<T>(_ i: Int = 0, as _: T.Type = T.self) -> UnsafeMutablePointer<T> {
    outputs[i]!.assumingMemoryBound(to: T.self)
  }
}

/// One operator call, ready to run on operands of known shapes, as often as wished and on several threads at once.
public struct Step: Sendable {
  public enum Action: Sendable {
    /// Computes the outputs.
    case run(@Sendable (Invocation) throws -> Void)
    /// Output 0 has the bytes of this input, under its own shape and layout.
    case view(input: Int)
    /// The outputs are known already.
    case constants([Tensor])
  }

  /// The layout in which each input must come; the plan converts where a value lies otherwise.
  public var inputLayouts: [Layout]
  public var outputs: [Operand]
  /// Scratch memory of one run, in bytes.
  public var workspace = 0
  /// Inputs that output 0 may overwrite: those of its size that are read no later than written, element by element.
  public var overwritable: [Int] = []
  /// Constant inputs whose values the step has taken over already: a run does not bring them.
  public var taken: Set<Int> = []
  /// Multiplications with additions that a run makes, where those are most of its work: for profiles.
  public var multiplyAdds = 0
  /// How regions of the result are computed, of images of two spatial axes.
  public var regional: RegionalStep?
  /// How rows of output 0 are computed, of one image.
  public var rows: RowStep?
  public var action: Action

  public init(
    inputs inputLayouts: [Layout], outputs: [Operand], workspace: Int = 0, overwritable: [Int] = [],
    taken: Set<Int> = [], multiplyAdds: Int = 0, run: @escaping @Sendable (Invocation) throws -> Void
  ) {
    self.inputLayouts = inputLayouts
    self.outputs = outputs
    self.workspace = workspace
    self.overwritable = overwritable
    self.taken = taken
    self.multiplyAdds = multiplyAdds
    self.action = .run(run)
  }

  /// Output 0 is input `input` under another shape or layout; the input must come in `layout`.
  public init(viewing input: Int, of inputCount: Int, in layout: Layout, as output: Operand) {
    inputLayouts = [Layout](repeating: .standard, count: inputCount)
    inputLayouts[input] = layout
    outputs = [output]
    action = .view(input: input)
  }

  public init(constants: [Tensor], inputCount: Int) {
    inputLayouts = [Layout](repeating: .standard, count: inputCount)
    outputs = constants.map { Operand($0.type, $0.shape, constant: $0) }
    action = .constants(constants)
  }
}

/// An operator asked for the value of an input that depends on what is fed. The plan answers by making that feed a
/// constant of the plan.
public struct NeedsConstant: Error {
  public let input: Int

  public init(input: Int) { self.input = input }
}

/// A node whose operands are known: what an operator plans a step from.
public struct Request: Sendable {
  public let node: Node
  public let opset: Int
  public let inputs: [Operand?]
  /// Which outputs anybody wants.
  public let wanted: [Bool]
  public let kernels: Kernels
  /// The threads that a run of the step will use at most.
  public let parallel: Parallel
  public let weights: PackedWeights

  public init(
    node: Node, opset: Int, inputs: [Operand?], wanted: [Bool], kernels: Kernels, parallel: Parallel,
    weights: PackedWeights
  ) {
    self.node = node
    self.opset = opset
    self.inputs = inputs
    self.wanted = wanted
    self.kernels = kernels
    self.parallel = parallel
    self.weights = weights
  }

  public func has(_ i: Int) -> Bool { i < inputs.count && inputs[i] != nil }

  /// Input `i`, which the operator cannot do without.
  public func input(_ i: Int) throws -> Operand {
    guard i < inputs.count, let operand = inputs[i] else {
      throw Failure(.invalidModel, "input \(i) is missing")
    }
    return operand
  }

  /// The value of input `i`, or nil where the model leaves it out.
  public func constant(_ i: Int) throws -> Tensor? {
    guard i < inputs.count, let operand = inputs[i] else { return nil }
    guard let constant = operand.constant else { throw NeedsConstant(input: i) }
    return constant
  }

  /// The layouts in which the inputs lie now.
  public var layouts: [Layout] { inputs.map { $0?.layout ?? .standard } }
  /// Every input in ONNX order.
  public var standardLayouts: [Layout] { inputs.map { _ in .standard } }

  /// An axis as models give it, −rank…rank−1, as 0…rank−1.
  public func axis(_ axis: Int, rank: Int) throws -> Int {
    guard axis >= -rank, axis < rank else {
      throw Failure(.invalidModel, "axis \(axis) is outside of a tensor of rank \(rank)")
    }
    return axis < 0 ? axis + rank : axis
  }

  /// Refuses an input of a type other than `types`.
  public func require(_ i: Int, _ types: ElementType...) throws {
    let type = try input(i).type
    guard types.contains(type) else {
      let expected = types.map(\.description).joined(separator: ", ")
      throw Failure(.unsupported, "input \(i) is \(type); supported: \(expected)")
    }
  }
}

/// What Limpid knows of one ONNX operator.
public struct OperatorDefinition: Sendable {
  public let name: String
  public let domain: String
  /// Reads the attributes, derives output types and shapes, chooses layouts, packs weights.
  public let plan: @Sendable (Request) throws -> Step
  /// nil where the operator has no derivative, or Limpid does not know it.
  public private(set) var gradient: GradientRule?
  /// What is known of where a result's elements come from; nothing, where the operator does not say it.
  public private(set) var locality: @Sendable (Request) throws -> Locality = { _ in [] }

  public init(_ name: String, domain: String = "", plan: @escaping @Sendable (Request) throws -> Step) {
    self.name = name
    self.domain = domain
    self.plan = plan
  }

  /// The same definition with a rule for its gradients.
  func gradient(_ rule: GradientRule?) -> OperatorDefinition {
    var copy = self
    copy.gradient = rule
    return copy
  }

  func local(_ locality: Locality) -> OperatorDefinition { local { _ in locality } }

  /// The same definition with what it says of where a result's elements come from.
  func local(_ locality: @escaping @Sendable (Request) throws -> Locality) -> OperatorDefinition {
    var copy = self
    copy.locality = locality
    return copy
  }
}
