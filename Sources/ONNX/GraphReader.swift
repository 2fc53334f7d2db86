// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Graph
import Parallel
import Tensors

/// Turns one GraphProto into a `Graph`, and the graphs within it by builders of their own.
///
/// A value that a graph takes from a graph around it is, in both, a value of that name; in the inner one it
/// is neither an input nor a constant, and no node makes it.
final class GraphReader {
  var graph = Graph()
  /// Why outputs of the file are not among those of the graph: strings, sequences and the like beside the numbers.
  private(set) var refusedOutputs: [Failure] = []
  let weights: WeightReader
  private let outer: GraphReader?
  let functions: LocalFunctions
  let progress: Progress
  /// The call of a function whose body is being read.
  let call: LocalFunctions.Call?
  /// What the node that is being read uses, also from within its graphs.
  private var uses: [ValueID] = []

  init(
    opsets: [String: Int], weights: WeightReader, functions: LocalFunctions, call: LocalFunctions.Call? = nil,
    progress: Progress
  ) {
    graph.opsets = opsets
    self.weights = weights
    self.functions = functions
    self.call = call
    self.progress = progress
    outer = nil
  }

  /// For a graph within a node of `outer`.
  private init(in outer: GraphReader) {
    graph.opsets = outer.graph.opsets
    weights = outer.weights
    functions = outer.functions
    call = outer.call
    progress = outer.progress
    self.outer = outer
  }

  func build(_ message: OpaquePointer) throws {
    let info = lp_onnx_graph_get(message)
    graph.name = try string(info.name, "the graph's name")
    for i in 0..<info.initializer_count {
      guard let tensor = lp_onnx_graph_initializer(message, i) else { continue }
      let name = try string(lp_onnx_tensor_get(tensor).name, "a tensor's name")
      try addInitializer(name) { try weights.tensor(tensor) }
    }
    for i in 0..<info.sparse_initializer_count {
      guard let tensor = lp_onnx_graph_sparse_initializer(message, i) else { continue }
      try addInitializer(WeightReader.name(sparse: tensor)) { try weights.tensor(sparse: tensor) }
    }
    for i in 0..<info.input_count {
      guard let value = lp_onnx_graph_input(message, i) else { continue }
      try addInput(value)
    }
    try addNodes((0..<info.node_count).compactMap { lp_onnx_graph_node(message, $0) })
    for i in 0..<info.output_count {
      guard let value = lp_onnx_graph_output(message, i) else { continue }
      try addOutput(value)
    }
  }

  // MARK: Values

  /// A new value of this graph; throws where the name is taken.
  func define(_ name: String) throws -> ValueID {
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

  private func addInitializer(_ name: String, _ read: () throws -> Tensor) throws {
    guard !name.isEmpty else { throw Failure(.invalidModel, "an initializer has no name") }
    let value = try define(name)
    try setConstant(value) { try locating("tensor \(quoted(name))", read) }
  }

  /// Elements of a type that Limpid does not compute with are no reason to refuse a model until a node needs them.
  private func setConstant(_ value: ValueID, _ read: () throws -> Tensor) throws {
    do { graph.constants[value] = try read() } catch let failure as Failure where failure.kind == .unsupported {
      graph.unreadable[value] = failure.message
    }
  }

  private func addInput(_ message: OpaquePointer) throws {
    let name = try string(lp_onnx_value_get(message).name, "an input's name")
    guard !name.isEmpty else { throw Failure(.invalidModel, "an input has no name") }
    // Up to IR version 3, initializers are listed as inputs, too.
    if let value = graph.value(named: name), graph.constants[value] != nil || graph.unreadable[value] != nil { return }
    let value = try define(name)
    try locating("input \(quoted(name))") { graph.inputs.append(try declaration(of: value, message)) }
  }

  private func addOutput(_ message: OpaquePointer) throws {
    let name = try string(lp_onnx_value_get(message).name, "an output's name")
    guard !name.isEmpty, let value = resolve(name) else {
      throw Failure(.invalidModel, "no node makes the output \(quoted(name))")
    }
    do {
      graph.outputs.append(try locating("output \(quoted(name))") { try declaration(of: value, message) })
    } catch let failure as Failure where failure.kind == .unsupported && outer == nil {
      refusedOutputs.append(failure)
    }
  }

  private func declaration(of value: ValueID, _ message: OpaquePointer) throws -> Declaration {
    let info = lp_onnx_value_get(message)
    guard info.kind != LP_ONNX_VALUE_OTHER else {
      throw Failure(.unsupported, "it is not a tensor; sequences, maps and optional values are not supported")
    }
    // Graphs within nodes may leave types out; float32 then stands for what inference will find.
    let isOpen = outer != nil && info.type == 0
    let type = isOpen ? .float32 : try elementType(info.type)
    guard info.has_shape != 0 else { return Declaration(value: value, type: type, dimensions: nil) }
    guard info.rank <= 64 else {
      throw Failure(.unsupported, "it has \(info.rank) axes; at most 64 are supported")
    }
    let dimensions = try (0..<info.rank).map { try dimension(lp_onnx_value_dimension(message, $0)) }
    return Declaration(value: value, type: type, dimensions: dimensions)
  }

  private func dimension(_ message: lp_onnx_dimension) throws -> Dimension {
    switch message.kind {
    // Some exporters write -1 for any extent.
    case LP_ONNX_DIMENSION_FIXED where message.extent == -1: return .unknown
    case LP_ONNX_DIMENSION_FIXED:
      // As in Shape: products of extents must not overflow.
      guard message.extent >= 0, message.extent <= 1 << 48 else {
        throw Failure(.invalidModel, "its extent \(message.extent) is not possible")
      }
      return .fixed(Int(message.extent))
    case LP_ONNX_DIMENSION_NAMED:
      let name = try string(message.name, "the name of an extent")
      return name.isEmpty ? .unknown : .named(name)
    default: return .unknown
    }
  }

  // MARK: Nodes

  func addNodes(_ messages: [OpaquePointer]) throws {
    // Nodes may come in any order, so all their outputs are defined before any input is resolved.
    let outputs = try messages.map { node in
      try locating(title(node)) { try defineOutputs(node) }
    }
    var nodes: [Node] = []
    var usesOfNodes: [[ValueID]] = []
    for (i, (message, outputs)) in zip(messages, outputs).enumerated() {
      // The nodes of most models are read in no time.
      if i % 1024 == 1023 { try progress.polling.advance(0, of: 1) }
      uses.removeAll()
      let read = try locating(title(message)) { try self.nodes(message, outputs) }
      nodes += read
      // A function's nodes use each other, too.
      usesOfNodes += read.count == 1 ? [uses] : read.map { graph.read(by: $0) }
    }
    let order = try topologicalOrder(of: nodes, uses: usesOfNodes, valueCount: graph.valueCount)
    graph.nodes = order.map { nodes[$0] }
  }

  /// How messages name a node: by operator, and by name or else first output.
  private func title(_ message: OpaquePointer) -> String {
    let info = lp_onnx_node_get(message)
    let isNamed = info.name.count > 0 || info.output_count == 0
    let name = isNamed ? info.name : lp_onnx_node_output(message, 0)
    return "node \(shown(info.operation).dropFirst().dropLast()) \(shown(name))"
  }

  private func defineOutputs(_ message: OpaquePointer) throws -> [ValueID?] {
    try (0..<lp_onnx_node_get(message).output_count).map {
      let name = try string(lp_onnx_node_output(message, $0), "an output's name")
      return name.isEmpty ? nil : try define(name)
    }
  }

  /// What a node of the file comes to: itself, the nodes of its function, or none for a constant.
  private func nodes(_ message: OpaquePointer, _ outputs: [ValueID?]) throws -> [Node] {
    let info = lp_onnx_node_get(message)
    let domain = canonical(domain: try string(info.domain, "the domain"))
    let operation = try string(info.operation, "the operator's name")
    guard !operation.isEmpty else { throw Failure(.invalidModel, "it names no operator") }
    guard domain != "limpid" else {
      throw Failure(.unsupported, "the domain \"limpid\" is for the runtime's own operators; files cannot use it")
    }
    guard graph.opsets[domain] != nil else {
      throw Failure(.invalidModel, "the model has no opset import for its domain \(quoted(domain))")
    }
    let inputs = try (0..<info.input_count).map { try input(lp_onnx_node_input(message, $0)) }
    if operation == "Constant" && domain.isEmpty {
      guard outputs.count == 1, let output = outputs[0], inputs.isEmpty else {
        throw Failure(.invalidModel, "it must have no inputs and one output")
      }
      try setConstant(output) { try AttributeReader.constant(attributes(message, info.attribute_count)) }
      return []
    }
    var node = Node(
      operation, domain: domain, name: try string(info.name, "the name"), inputs: inputs, outputs: outputs,
      attributes: try attributes(message, info.attribute_count), version: domain.isEmpty ? call?.version : nil)
    node.module = Self.module(of: message, info)
    return try functions.body(of: node, in: self) ?? [node]
  }

  /// PyTorch's newer exporter notes the path of modules, "['', 'layer4', 'layer4.1', 'relu_16']", of which the last is
  /// the node itself. What is damaged is no module.
  private static func module(of message: OpaquePointer, _ info: lp_onnx_node_info) -> String? {
    for i in 0..<info.metadata_count {
      let entry = lp_onnx_node_metadata(message, i)
      guard (try? string(entry.key, "a key")) == "pkg.torch.onnx.name_scopes" else { continue }
      guard let path = try? string(entry.value, "the path of modules") else { return nil }
      let steps = path.split(separator: "'", omittingEmptySubsequences: false).enumerated().filter {
        $0.offset % 2 == 1
      }
      return steps.dropLast().last.map { String($0.element) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    return nil
  }

  private func attributes(_ message: OpaquePointer, _ count: Int) throws -> [String: Attribute] {
    let reader = AttributeReader(weights: weights, arguments: call?.attributes) { [unowned self] in
      let builder = GraphReader(in: self)
      try builder.build($0)
      return builder.graph
    }
    return try reader.attributes(message, count)
  }

  private func input(_ text: lp_onnx_text) throws -> ValueID? {
    let name = try string(text, "an input's name")
    if name.isEmpty { return nil }
    guard let value = resolve(name) else {
      throw Failure(.invalidModel, "its input \(quoted(name)) is not defined")
    }
    return value
  }
}
