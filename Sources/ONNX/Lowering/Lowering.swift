// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Writes operators that the runtime does not have in those that it has: quantised operators, fused ones of ONNX
/// Runtime, early forms of ONNX's own, convolutions over three axes or at places of their own, sequences.
///
/// So their numbers, their fusion and their gradients are those of plain operators. An operator that no rule knows
/// stays.
struct Lowering {
  /// A rule adds what its node stands for. Where it leaves the node to the runtime it adds the node itself.
  typealias Rule = @Sendable (inout Lowering, Node) throws -> Void

  /// The version of the ONNX operator set that rules write.
  static let version = 21

  private(set) var graph: Graph
  private var nodes: [Node] = []
  /// The name and module of the node that is being written, which what is written for it gets too.
  private var name = ""
  private var module: String?
  /// What the values that are sequences consist of.
  var sequences: [ValueID: Sequence] = [:]
  /// Integers that are sums of whole numbers in floating point.
  var sums: [ValueID: ValueID] = [:]
  /// Shapes of constants of the graphs around this one.
  private let outerShape: (String) -> Shape?
  private var makers: [ValueID: Node] = [:]
  private let inputs: [ValueID: Declaration]

  private static let rules: [String: [String: Rule]] = [
    "": standardRules, "com.microsoft": microsoftRules,
  ]

  private static let standardRules = joined(
    quantizedRules, integerRules, volumeRules, sequenceRules, retiredRules, reductionRules, gridRules, patchRules,
    rotaryRules, cropRules, deformableRules)

  private static let microsoftRules = joined(
    quantizedRules, microsoftQuantizedRules, fusedRules, transformerRules, packedRules)

  private static func joined(_ rules: [String: Rule]...) -> [String: Rule] {
    Dictionary(rules.joined().map { ($0.key, $0.value) }) { _, last in last }
  }

  static func lower(_ graph: Graph) throws -> Graph { try lower(graph) { _ in nil } }

  private static func lower(_ graph: Graph, _ outerShape: @escaping (String) -> Shape?) throws -> Graph {
    var lowering = Lowering(graph: graph, outerShape: outerShape)
    for node in graph.nodes { try locating(node.title) { try lowering.lower(node) } }
    lowering.graph.nodes = lowering.nodes
    return lowering.graph
  }

  private init(graph: Graph, outerShape: @escaping (String) -> Shape?) {
    self.graph = graph
    inputs = Dictionary(graph.inputs.map { ($0.value, $0) }) { first, _ in first }
    self.outerShape = outerShape
  }

  /// Adds what `node` stands for.
  mutating func lower(_ node: Node) throws {
    var node = node
    (name, module) = (node.name, node.module)
    for (key, attribute) in node.attributes {
      guard case .graph(let body) = attribute else { continue }
      let known = self
      node.attributes[key] = .graph(
        try Self.lower(body) { name in
          known.graph.value(named: name).flatMap { known.weightShape($0) } ?? known.outerShape(name)
        })
    }
    if node.domain == "com.microsoft.nchwc" {
      throw Failure(
        .unsupported,
        "ONNX Runtime wrote this file for one kind of processor, in that one's layout (optimisation level \"all\"); "
          + "use the file that it was made of, or one of level \"extended\"")
    }
    if node.domain.isEmpty, version(of: node) < 7, let rule = Self.earlyRules[node.operation] {
      return try rule(&self, node)
    }
    if let rule = Self.rules[node.domain]?[node.operation] { return try rule(&self, node) }
    add(node)
  }

  /// Adds a node as it is.
  mutating func add(_ node: Node) {
    var node = node
    node.module = node.module ?? module
    for case let output? in node.outputs { makers[output] = node }
    nodes.append(node)
  }

  func version(of node: Node) -> Int { graph.opset(of: node) }

  // MARK: What is known

  func input(_ node: Node, _ i: Int) throws -> ValueID {
    guard let value = node.input(i) else { throw Failure(.invalidModel, "input \(i) is missing") }
    return value
  }

  /// Refuses what the runtime has no operators for.
  func refuse(_ node: Node, inputs: Range<Int>, _ what: String) throws {
    for i in inputs where node.input(i) != nil { throw Failure(.unsupported, "input \(i), \(what), is not supported") }
  }

  func refuse(_ node: Node, outputsFrom first: Int) throws {
    if let i = node.outputs.indices.dropFirst(first).first(where: { node.outputs[$0] != nil }) {
      throw Failure(.unsupported, "output \(i) is not supported")
    }
  }

  func refuse(_ node: Node, flag key: String) throws {
    if try node.flag(key) { throw Failure(.unsupported, "\(key) is not supported") }
  }

  /// The constant integers of input `i`, nil where it is left out or not constant.
  func integers(_ node: Node, _ i: Int) throws -> [Int]? {
    try node.input(i).flatMap { graph.constants[$0] }.map { try $0.integers() }
  }

  /// The shape of a weight, which may be stored quantised or in another type, or be fed in a declared shape; nil where
  /// it depends on what is fed.
  func weightShape(_ value: ValueID) -> Shape? {
    var value = value
    for _ in 0..<8 {
      if let tensor = graph.constants[value] { return tensor.shape }
      if let input = inputs[value] { return Self.fixedShape(input) }
      guard let maker = makers[value] else { return outerShape(graph.name(of: value)) }
      guard ["DequantizeLinear", "Cast", "Identity", "QuantizeLinear"].contains(maker.operation), maker.domain.isEmpty,
        let source = maker.input(0)
      else { return nil }
      value = source
    }
    return nil
  }

  private static func fixedShape(_ declaration: Declaration) -> Shape? {
    let extents = declaration.dimensions?.compactMap { if case .fixed(let extent) = $0 { extent } else { nil } }
    guard let extents, extents.count == declaration.dimensions?.count else { return nil }
    return try? Shape(checking: extents)
  }

  /// The node that makes `value`, where it is one of this graph.
  func maker(of value: ValueID) -> Node? { makers[value] }

  // MARK: What is added

  mutating func newValue() -> ValueID { graph.addValue() }

  /// Adds a node of one output, which is `target` or else new.
  @discardableResult
  mutating func emit(
    _ operation: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:], to target: ValueID? = nil,
    domain: String = "", version: Int = Lowering.version
  ) -> ValueID {
    let output = target ?? graph.addValue()
    add(
      Node(
        operation, domain: domain, name: name, inputs: inputs, outputs: [output], attributes: attributes,
        version: version))
    return output
  }

  /// Adds a node of several new outputs.
  mutating func emit(
    _ operation: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:], outputs: Int
  ) -> [ValueID] {
    let results = (0..<outputs).map { _ in graph.addValue() }
    add(
      Node(
        operation, name: name, inputs: inputs, outputs: results, attributes: attributes, version: Self.version))
    return results
  }

  mutating func constant(_ tensor: Tensor) -> ValueID {
    let value = graph.addValue()
    graph.constants[value] = tensor
    return value
  }

  mutating func constant(_ number: Float) throws -> ValueID { constant(try Tensor([number], .scalar)) }

  mutating func constant(_ numbers: [Int]) throws -> ValueID {
    constant(try Tensor(numbers.map(Int64.init), Shape(trusted: [numbers.count])))
  }

  mutating func constant(_ numbers: [Float]) throws -> ValueID {
    constant(try Tensor(numbers, Shape(trusted: [numbers.count])))
  }

  mutating func slice(_ x: ValueID, _ first: Int, _ end: Int, axis: Int, step: Int = 1) throws -> ValueID {
    emit("Slice", [x, try constant([first]), try constant([end]), try constant([axis]), try constant([step])])
  }

  /// `value` between two places of layouts, [N, H, W, C] to [N, C, H, W] or back.
  mutating func moveChannels(_ value: ValueID, rank: Int, toFront: Bool, to target: ValueID? = nil) -> ValueID {
    let order = toFront ? [0, rank - 1] + Array(1..<rank - 1) : [0] + Array(2..<rank) + [1]
    return emit("Transpose", [value], ["perm": .ints(order)], to: target)
  }
}
