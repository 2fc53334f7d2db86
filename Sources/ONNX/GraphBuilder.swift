// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Graph
import Tensors

/// Turns one GraphProto into a `Graph`, and the graphs within it by builders of their own.
///
/// A value that a graph takes from a graph around it is, in both, a value of that name; in the inner one it
/// is neither an input nor a constant, and no node makes it.
final class GraphBuilder {
  var graph = Graph()
  private let weights: WeightReader
  private let outer: GraphBuilder?
  /// What the node that is being read uses, also from within its graphs.
  private var uses: [ValueID] = []

  init(opsets: [String: Int], weights: WeightReader, outer: GraphBuilder?) {
    graph.opsets = opsets
    self.weights = weights
    self.outer = outer
  }

  func build(_ message: OpaquePointer) throws {
    let info = xi_onnx_graph_get(message)
    graph.name = try string(info.name, "the graph's name")
    if info.sparse_initializer_count > 0 {
      let name = shown(xi_onnx_graph_sparse_initializer(message, 0))
      throw Failure(.invalidModel, "tensor \(name) is sparse, which is not supported")
    }
    for i in 0..<info.initializer_count {
      guard let tensor = xi_onnx_graph_initializer(message, i) else { continue }
      try addInitializer(tensor)
    }
    for i in 0..<info.input_count {
      guard let value = xi_onnx_graph_input(message, i) else { continue }
      try addInput(value)
    }
    try addNodes(message, info.node_count)
    for i in 0..<info.output_count {
      guard let value = xi_onnx_graph_output(message, i) else { continue }
      try addOutput(value)
    }
  }

  // MARK: Values

  /// A new value of this graph; throws where the name is taken.
  private func define(_ name: String) throws -> ValueID {
    guard graph.value(named: name) == nil else {
      throw Failure(.invalidModel, "value \(quoted(name)) is defined twice")
    }
    return graph.addValue(name)
  }

  /// The value of this graph or of one around it; nil where there is none.
  private func resolve(_ name: String) -> ValueID? {
    var value = graph.value(named: name)
    if value == nil, outer?.resolve(name) != nil { value = graph.addValue(name) }
    if let value { uses.append(value) }
    return value
  }

  private func addInitializer(_ message: OpaquePointer) throws {
    let name = try string(xi_onnx_tensor_get(message).name, "a tensor's name")
    guard !name.isEmpty else { throw Failure(.invalidModel, "an initializer has no name") }
    graph.constants[try define(name)] = try locating("tensor \(quoted(name))") { try weights.tensor(message) }
  }

  private func addInput(_ message: OpaquePointer) throws {
    let name = try string(xi_onnx_value_get(message).name, "an input's name")
    guard !name.isEmpty else { throw Failure(.invalidModel, "an input has no name") }
    // Up to IR version 3, initializers are listed as inputs, too.
    if let value = graph.value(named: name), graph.constants[value] != nil { return }
    let value = try define(name)
    try locating("input \(quoted(name))") { graph.inputs.append(try declaration(of: value, message)) }
  }

  private func addOutput(_ message: OpaquePointer) throws {
    let name = try string(xi_onnx_value_get(message).name, "an output's name")
    guard !name.isEmpty, let value = resolve(name) else {
      throw Failure(.invalidModel, "no node makes the output \(quoted(name))")
    }
    try locating("output \(quoted(name))") { graph.outputs.append(try declaration(of: value, message)) }
  }

  private func declaration(of value: ValueID, _ message: OpaquePointer) throws -> Declaration {
    let info = xi_onnx_value_get(message)
    guard info.kind != XI_ONNX_VALUE_OTHER else {
      throw Failure(.invalidModel, "it is not a tensor; sequences, maps and optional values are not supported")
    }
    // Graphs within nodes may leave types out; float32 then stands for what inference will find.
    let isOpen = outer != nil && info.type == 0
    let type = isOpen ? .float32 : try elementType(info.type)
    guard info.has_shape != 0 else { return Declaration(value: value, type: type, dimensions: nil) }
    guard info.rank <= 64 else {
      throw Failure(.invalidModel, "it has \(info.rank) axes; at most 64 are supported")
    }
    let dimensions = try (0..<info.rank).map { try dimension(xi_onnx_value_dimension(message, $0)) }
    return Declaration(value: value, type: type, dimensions: dimensions)
  }

  private func dimension(_ message: xi_onnx_dimension) throws -> Dimension {
    switch message.kind {
    case XI_ONNX_DIMENSION_FIXED:
      // As in Shape: products of extents must not overflow.
      guard message.extent >= 0, message.extent <= 1 << 48 else {
        throw Failure(.invalidModel, "its extent \(message.extent) is not possible")
      }
      return .fixed(Int(message.extent))
    case XI_ONNX_DIMENSION_NAMED:
      let name = try string(message.name, "the name of an extent")
      return name.isEmpty ? .unknown : .named(name)
    default: return .unknown
    }
  }

  // MARK: Nodes

  private func addNodes(_ message: OpaquePointer, _ count: Int) throws {
    // Nodes may come in any order, so all their outputs are defined before any input is resolved.
    let messages = (0..<count).compactMap { xi_onnx_graph_node(message, $0) }
    let outputs = try messages.map { node in
      try locating(title(node)) { try defineOutputs(node) }
    }
    var nodes: [Node] = []
    var usesOfNodes: [[ValueID]] = []
    for (node, outputs) in zip(messages, outputs) {
      uses.removeAll()
      guard let read = try locating(title(node), { try self.node(node, outputs) }) else { continue }
      nodes.append(read)
      usesOfNodes.append(uses)
    }
    let order = try topologicalOrder(of: nodes, uses: usesOfNodes, valueCount: graph.valueCount)
    graph.nodes = order.map { nodes[$0] }
  }

  /// How messages name a node: by operator, and by name or else first output.
  private func title(_ message: OpaquePointer) -> String {
    let info = xi_onnx_node_get(message)
    let isNamed = info.name.count > 0 || info.output_count == 0
    let name = isNamed ? info.name : xi_onnx_node_output(message, 0)
    return "node \(shown(info.operation).dropFirst().dropLast()) \(shown(name))"
  }

  private func defineOutputs(_ message: OpaquePointer) throws -> [ValueID?] {
    try (0..<xi_onnx_node_get(message).output_count).map {
      let name = try string(xi_onnx_node_output(message, $0), "an output's name")
      return name.isEmpty ? nil : try define(name)
    }
  }

  /// nil for a constant, which is not a node of a `Graph`.
  private func node(_ message: OpaquePointer, _ outputs: [ValueID?]) throws -> Node? {
    let info = xi_onnx_node_get(message)
    let domain = canonical(domain: try string(info.domain, "the domain"))
    let operation = try string(info.operation, "the operator's name")
    guard !operation.isEmpty else { throw Failure(.invalidModel, "it names no operator") }
    guard graph.opsets[domain] != nil else {
      throw Failure(.invalidModel, "the model has no opset import for its domain \(quoted(domain))")
    }
    let inputs = try (0..<info.input_count).map { try input(xi_onnx_node_input(message, $0)) }
    let reader = AttributeReader(weights: weights) { [unowned self] in
      let builder = GraphBuilder(opsets: graph.opsets, weights: weights, outer: self)
      try builder.build($0)
      return builder.graph
    }
    let attributes = try reader.attributes(message, info.attribute_count)
    if operation == "Constant" && domain.isEmpty {
      guard outputs.count == 1, let output = outputs[0], inputs.isEmpty else {
        throw Failure(.invalidModel, "it must have no inputs and one output")
      }
      graph.constants[output] = try AttributeReader.constant(attributes)
      return nil
    }
    let name = try string(info.name, "the name")
    return Node(
      operation, domain: domain, name: name, inputs: inputs, outputs: outputs, attributes: attributes)
  }

  private func input(_ text: xi_onnx_text) throws -> ValueID? {
    let name = try string(text, "an input's name")
    if name.isEmpty { return nil }
    guard let value = resolve(name) else {
      throw Failure(.invalidModel, "its input \(quoted(name)) is not defined")
    }
    return value
  }
}
