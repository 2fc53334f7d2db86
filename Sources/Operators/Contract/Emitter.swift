public import Graph
public import Kernels
public import Parallel
public import Tensors

/// Adds nodes to a graph whose values have known types and shapes, and finds those of what it adds.
///
/// What it writes is the ONNX operator set of version `version`, whichever the file speaks, and the domain "limpid".
/// The graph is good for inputs of the shapes that it was traced with.
public struct Emitter: Sendable {
  public static let version = 21

  public private(set) var graph: Graph
  /// Type and shape of each value that was traced or added; of constants their values too.
  public private(set) var operands: [ValueID: Operand]
  /// The values whose gradients are wanted while a rule writes, for rules that would else write much for nothing.
  public var active: Set<ValueID> = []
  /// Of values without gradients, what `transposed` made of them.
  var transposes: [ValueID: ValueID] = [:]
  private let kernels: Kernels
  private let parallel: Parallel

  public init(_ graph: Graph, operands: [ValueID: Operand], kernels: Kernels, parallel: Parallel) {
    self.graph = graph
    self.operands = operands
    self.kernels = kernels
    self.parallel = parallel
  }

  // MARK: What is known

  public func operand(_ value: ValueID) throws -> Operand {
    if let known = operands[value] { return known }
    guard let tensor = graph.constants[value] else {
      throw Failure(.internal, "nothing is known of the value \(quoted(graph.name(of: value)))")
    }
    return Operand(tensor.type.computed, tensor.shape, constant: tensor)
  }

  public func shape(_ value: ValueID) throws -> [Int] { try operand(value).shape.dimensions }

  public func input(_ node: Node, _ i: Int) throws -> ValueID {
    guard let value = node.input(i) else { throw Failure(.invalidModel, "input \(i) is missing") }
    return value
  }

  public func output(_ node: Node, _ i: Int = 0) throws -> ValueID {
    guard let value = node.output(i) else { throw Failure(.internal, "output \(i) is missing") }
    return value
  }

  /// Whether the gradient of input `i` is wanted.
  public func isActive(_ node: Node, _ i: Int) -> Bool { node.input(i).map(active.contains) ?? false }

  /// The value of input `i`, which must not depend on what is fed; nil where the model leaves it out.
  public func constant(_ node: Node, _ i: Int) throws -> Tensor? {
    guard let value = node.input(i) else { return nil }
    guard let tensor = try operand(value).constant else {
      throw Failure(.unsupported, "its gradient needs input \(i) to be constant")
    }
    return tensor
  }

  /// How a node's operator sees it: for rules that read attributes as `plan` does.
  public func request(_ node: Node) throws -> Request {
    Request(
      node: node, opset: graph.opset(of: node),
      inputs: try node.inputs.map { value in
        try value.map { value in
          let known = try operand(value)
          return Operand(known.type, known.shape, constant: known.constant)
        }
      },
      wanted: node.outputs.map { $0 != nil }, kernels: kernels, parallel: parallel, weights: .unpacked)
  }

  // MARK: What is added

  /// A value that a run will be fed.
  public mutating func feed(_ type: ElementType, _ shape: Shape) -> ValueID {
    let value = graph.addValue()
    operands[value] = Operand(type, shape)
    return value
  }

  public mutating func constant(_ tensor: Tensor) -> ValueID {
    let value = graph.addValue()
    graph.constants[value] = tensor
    operands[value] = Operand(tensor.type, tensor.shape, constant: tensor)
    return value
  }

  public mutating func constant(_ number: Float) throws -> ValueID { constant(try Tensor([number], .scalar)) }

  public mutating func constant(_ numbers: [Int]) throws -> ValueID {
    constant(try Tensor(numbers.map { Int64($0) }, [numbers.count]))
  }

  /// Adds a node of one output and returns that.
  public mutating func callAsFunction(
    _ operation: String, _ inputs: ValueID?..., domain: String = "", attributes: [String: Attribute] = [:]
  ) throws -> ValueID {
    try add(operation, inputs, outputs: 1, domain: domain, attributes: attributes)[0]
  }

  /// Adds a node and returns its outputs.
  public mutating func add(
    _ operation: String, _ inputs: [ValueID?], outputs: Int, domain: String = "",
    attributes: [String: Attribute] = [:]
  ) throws -> [ValueID] {
    try add(
      Node(
        operation, domain: domain, inputs: inputs, outputs: (0..<outputs).map { _ in graph.addValue() },
        attributes: attributes, version: Self.version)
    ).compactMap(\.self)
  }

  /// Adds a node that was there already, with other inputs, and returns its outputs.
  public mutating func again(_ node: Node, _ inputs: [ValueID?]) throws -> [ValueID?] {
    var node = node
    node.inputs = inputs
    node.outputs = node.outputs.map { $0.map { _ in graph.addValue() } }
    return try add(node)
  }

  private mutating func add(_ node: Node) throws -> [ValueID?] {
    guard let definition = Operators.definition(node.operation, domain: node.domain) else {
      throw Failure(.internal, "\(node.operation) is not an operator")
    }
    let step = try locating(node.title) { try definition.plan(request(node)) }
    for case (let value?, let operand) in zip(node.outputs, step.outputs) {
      operands[value] = Operand(operand.type, operand.shape, constant: operand.constant)
    }
    graph.nodes.append(node)
    return node.outputs
  }
}
