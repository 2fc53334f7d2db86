// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Graph
import Tensors

/// The functions that a model defines itself. A call of one becomes the nodes of its body.
final class LocalFunctions {
  /// A call whose body is being read.
  struct Call {
    /// What the body's nodes may refer to: the call's attributes, and the function's own values for others.
    let attributes: [String: Attribute]
    /// The version of the ONNX operator set that the body speaks, where it is not that of the model.
    let version: Int?
    /// The functions that are being read, from the model's own graph inwards.
    fileprivate let names: [Name]
  }

  fileprivate struct Name: Hashable { let domain, operation: String }

  private let messages: [Name: OpaquePointer]
  /// What the bodies read so far come to: bounds what small files can make of themselves.
  private var extent = 0
  private static let (extentLimit, depthLimit) = (1 << 19, 32)

  init(_ model: OpaquePointer) throws {
    var messages: [Name: OpaquePointer] = [:]
    for i in 0..<lp_onnx_model_get(model).function_count {
      guard let message = lp_onnx_model_function(model, i) else { continue }
      let info = lp_onnx_function_get(message)
      let name = Name(
        domain: canonical(domain: try string(info.domain, "the domain of a function")),
        operation: try string(info.name, "the name of a function"))
      guard messages.updateValue(message, forKey: name) == nil else {
        throw Failure(.unsupported, "the model defines the function \(quoted(name.operation)) twice")
      }
    }
    self.messages = messages
  }

  /// The nodes that `node` stands for, made of values of `caller`'s graph; nil where it does not call a function.
  func body(of node: Node, in caller: GraphReader) throws -> [Node]? {
    guard let message = messages[Name(domain: node.domain, operation: node.operation)] else { return nil }
    let info = lp_onnx_function_get(message)
    guard node.inputs.count <= info.input_count, node.outputs.count <= info.output_count else {
      throw Failure(
        .invalidModel,
        "\(node.inputs.count) inputs and \(node.outputs.count) outputs, where its function has "
          + "\(info.input_count) and \(info.output_count)")
    }
    let builder = try reader(message, info, calledBy: node, in: caller)
    try builder.buildBody(message, info, leavingOut: { $0 >= node.inputs.count || node.inputs[$0] == nil })
    extent += 1 + builder.graph.copyCost
    guard extent <= Self.extentLimit else {
      throw Failure(.unsupported, "calls of functions come to more than \(Self.extentLimit) nodes, operands and values")
    }
    return try caller.graph.nodes(of: builder.graph, calledBy: node)
  }

  private func reader(
    _ message: OpaquePointer, _ info: lp_onnx_function_info, calledBy node: Node, in caller: GraphReader
  ) throws -> GraphReader {
    let names = caller.call?.names ?? []
    let name = Name(domain: node.domain, operation: node.operation)
    guard !names.contains(name) else {
      throw Failure(.invalidModel, "its function calls itself, or others that call it")
    }
    guard names.count < Self.depthLimit else {
      throw Failure(.unsupported, "functions call each other more than \(Self.depthLimit) deep")
    }
    let imports = try ONNXLoader.opsets((0..<info.opset_count).map { lp_onnx_function_opset(message, $0) })
    let version = imports[""] == caller.graph.opsets[""] ? caller.call?.version : imports[""]
    let constants = AttributeReader(weights: caller.weights, arguments: nil) { _ in
      throw Failure(.unsupported, "a graph as what a function's attribute is by default is not supported")
    }
    var attributes: [String: Attribute] = [:]
    for i in 0..<info.default_count {
      guard let attribute = lp_onnx_function_default(message, i) else { continue }
      let name = try string(lp_onnx_attribute_get(attribute).name, "an attribute's name")
      attributes[name] = try locating("attribute \(quoted(name))") { try constants.attribute(attribute) }
    }
    attributes.merge(node.attributes) { $1 }
    return GraphReader(
      opsets: imports, weights: caller.weights, functions: self,
      call: Call(attributes: attributes, version: version, names: names + [name]), progress: caller.progress)
  }
}

extension GraphReader {
  /// Reads a function's body; what a call leaves out is left out of its nodes too.
  fileprivate func buildBody(
    _ message: OpaquePointer, _ info: lp_onnx_function_info, leavingOut isMissing: (Int) -> Bool
  ) throws {
    var missing = Set<ValueID>()
    for i in 0..<info.input_count {
      let value = try define(try string(lp_onnx_function_input(message, i), "an input's name"))
      if isMissing(i) { missing.insert(value) }
      graph.inputs.append(Declaration(value: value, type: .float32, dimensions: nil))
    }
    try addNodes((0..<info.node_count).compactMap { lp_onnx_function_node(message, $0) })
    for i in 0..<info.output_count {
      let name = try string(lp_onnx_function_output(message, i), "an output's name")
      guard let value = graph.value(named: name), !missing.contains(value) else {
        throw Failure(.invalidModel, "no node makes the output \(quoted(name)) of its function")
      }
      graph.outputs.append(Declaration(value: value, type: .float32, dimensions: nil))
    }
    guard !missing.isEmpty else { return }
    for i in graph.nodes.indices {
      graph.nodes[i].inputs = graph.nodes[i].inputs.map { $0.flatMap { missing.contains($0) ? nil : $0 } }
      if let value = graph.read(by: graph.nodes[i]).first(where: missing.contains) {
        throw Failure(
          .unsupported, "a graph in its function reads the input \(quoted(graph.name(of: value))), which is left out")
      }
    }
    graph.inputs.removeAll { missing.contains($0.value) }
  }
}

extension Graph {
  /// A copy of `body`'s nodes whose results are those of `call`.
  fileprivate mutating func nodes(of body: Graph, calledBy call: Node) throws -> [Node] {
    let prefix = call.name.isEmpty ? call.outputs.first.flatMap { $0 }.map { name(of: $0) } ?? "" : call.name
    var (nodes, results) = try inline(body, arguments: call.inputs.compactMap { $0 }, under: prefix)
    for case (let output?, let result) in zip(call.outputs, results) {
      nodes.append(Node("Identity", name: call.name, inputs: [result], outputs: [output]))
    }
    return nodes
  }
}
