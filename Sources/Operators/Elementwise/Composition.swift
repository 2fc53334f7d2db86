public import Graph
import Kernels
import Parallel
import Tensors

/// `limpid.Composition`(x): a function of one number that the model writes as several nodes, as exporters write SiLU,
/// GELU and hard swish. `body` holds these nodes, as they were; they run piece by piece, in one pass over memory.
public enum Composition {
  public static let name = "Composition"
  static let definitions = [
    OperatorDefinition(name, domain: "limpid") { request in
      try request.require(0, .float32)
      let x = try request.input(0)
      let function = try composition(request.node).function
      let (kernels, count) = (request.kernels, x.shape.count)
      return Step(inputs: [x.layout], outputs: [Operand(.float32, x.shape, layout: x.layout)], overwritable: [0]) {
        kernels.unary(function, $0.input(0), into: $0.output(), count: count, $0.parallel)
      }
    }.local(.element)
  ]

  private static let binary: [String: Kernels.Binary] = [
    "Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide, "Min": .minimum, "Max": .maximum, "Pow": .power,
  ]
  /// Those that are of integers too, so that shapes may be computed by them.
  private static let ofIntegers: Set<String> = ["Relu", "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Clip"]

  /// Whether `node` takes each element of its operands, of which those that are known are one float each, to one.
  public static func accepts(_ node: Node, in graph: Graph) -> Bool {
    guard node.domain.isEmpty, node.outputs.count == 1, node.inputs.allSatisfy({ $0 != nil }),
      let x = node.input(0)
    else { return false }
    func isNumber(_ value: ValueID?) -> Bool { value.map { number($0, in: graph) != nil } ?? false }
    func isOpen(_ value: ValueID?) -> Bool { value.map { graph.constants[$0] == nil } ?? false }
    if node.operation == "Clip" {
      return isOpen(x) && node.inputs.dropFirst().allSatisfy(isNumber)
    }
    if binary[node.operation] != nil {
      guard node.inputs.count == 2, graph.opset(of: node) >= 7 else { return false }
      if node.operation == "Pow" { return isOpen(x) && isNumber(node.inputs[1]) }
      return node.inputs.allSatisfy { isOpen($0) || isNumber($0) } && node.inputs.contains(where: isOpen)
    }
    return node.inputs.count == 1 && isOpen(x) && Unary.function(named: node.operation) != nil
  }

  /// Whether an accepted node can only be one of floats.
  public static func isOfFloats(_ node: Node, in graph: Graph) -> Bool {
    if node.operation == "Pow" { return false }
    if binary[node.operation] == nil, !ofIntegers.contains(node.operation) { return true }
    return node.inputs.contains { $0.map { graph.constants[$0] != nil } ?? false }
  }

  /// The one float that a constant is. One of more axes could raise the rank of the result.
  private static func number(_ value: ValueID, in graph: Graph) -> Float? {
    guard let tensor = graph.constants[value], tensor.type.computed == .float32, tensor.count == 1,
      tensor.shape.rank == 0
    else { return nil }
    return try? tensor.computed().array(of: Float.self)[0]
  }

  /// `nodes`, in an order in which they can run, as one node in the place of the last. They are accepted, and read
  /// nothing but each other, constants and `input`.
  public static func node(_ nodes: [Node], of input: ValueID, in graph: Graph) -> Node? {
    guard let last = nodes.last else { return nil }
    var body = Graph()
    body.opsets = graph.opsets
    var values: [ValueID: ValueID] = [input: body.addValue()]
    body.inputs = values.values.map { Declaration(value: $0, type: .float32, dimensions: nil) }
    body.nodes = nodes.map { node in
      var copy = node
      copy.inputs = node.inputs.map { value in
        guard let value else { return nil }
        if values[value] == nil {
          let constant = body.addValue()
          values[value] = constant
          body.constants[constant] = graph.constants[value]
        }
        return values[value]
      }
      copy.outputs = node.outputs.map { value in
        value.map { value in
          let made = body.addValue()
          values[value] = made
          return made
        }
      }
      return copy
    }
    var composed = Node(
      name, domain: "limpid", name: last.name, inputs: [input], outputs: last.outputs,
      attributes: ["body": .graph(body)])
    composed.module = last.module
    return composed
  }

  /// The function that a `Composition`, or what took its body over, computes.
  static func composition(_ node: Node) throws -> Kernels.Composition {
    guard let body = try node.graph("body") else { throw Failure(.internal, "it has no body") }
    var places = Dictionary(uniqueKeysWithValues: body.inputs.map { ($0.value, 0) })
    var steps: [Kernels.Composition.Step] = []
    func operand(_ node: Node, _ i: Int) throws -> Kernels.Composition.Operand {
      guard let value = node.input(i) else { throw Failure(.internal, "input \(i) is missing") }
      if let place = places[value] { return .value(place) }
      guard let number = number(value, in: body) else { throw Failure(.internal, "input \(i) is not known") }
      return .constant(number)
    }
    for node in body.nodes {
      guard case .value(let first) = try operand(node, 0), binary[node.operation] == nil else {
        try append(node, operand(node, 0), operand(node, 1), to: &steps)
        if let output = node.outputs[0] { places[output] = steps.count }
        continue
      }
      steps.append(.unary(try function(node) { try operand(node, $0) }, first))
      if let output = node.outputs[0] { places[output] = steps.count }
    }
    return Kernels.Composition(steps)
  }

  private static func append(
    _ node: Node, _ a: Kernels.Composition.Operand, _ b: Kernels.Composition.Operand,
    to steps: inout [Kernels.Composition.Step]
  ) throws {
    guard let op = binary[node.operation] else { throw Failure(.internal, "\(node.operation) of two constants") }
    if case (.power, .value(let x), .constant(let exponent)) = (op, a, b),
      let power = Kernels.Composition.power(exponent, of: x, after: steps.count)
    {
      steps += power
    } else {
      steps.append(.binary(op, a, b))
    }
  }

  private static func function(
    _ node: Node, operand: (Int) throws -> Kernels.Composition.Operand
  ) throws -> Kernels.Unary {
    guard node.operation == "Clip" else {
      if Activation.names.contains(node.operation) { return try Activation(node.operation, of: node).function }
      if let function = Unary.function(named: node.operation) { return function }
      throw Failure(.internal, "\(node.operation) is no function of one number")
    }
    func bound(_ i: Int, _ name: String, default value: Float) throws -> Float {
      guard node.input(i) != nil else { return try node.float(name, default: value) }
      guard case .constant(let bound) = try operand(i) else { throw Failure(.internal, "\(name) is not known") }
      return bound
    }
    let (low, high) = (try bound(1, "min", default: -.infinity), try bound(2, "max", default: .infinity))
    return .clip(min(low, high), high)
  }
}
