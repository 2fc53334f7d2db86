// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Graph
import Tensors

/// Attributes of nodes. Graphs among them are built inside of the graph that they are in.
struct AttributeReader {
  let weights: WeightReader
  /// What the attributes of a function's nodes may refer to; nil outside of functions.
  let arguments: [String: Attribute]?
  /// Builds the graph of an attribute.
  let graph: (OpaquePointer) throws -> Graph

  func attributes(_ node: OpaquePointer, _ count: Int) throws -> [String: Attribute] {
    var attributes: [String: Attribute] = [:]
    for i in 0..<count {
      guard let message = lp_onnx_node_attribute(node, i) else { continue }
      let name = try string(lp_onnx_attribute_get(message).name, "an attribute's name")
      guard let value = try locating("attribute \(quoted(name))", { try attribute(message) }) else { continue }
      guard attributes.updateValue(value, forKey: name) == nil else {
        throw Failure(.invalidModel, "attribute \(quoted(name)) is given twice")
      }
    }
    return attributes
  }

  /// nil for a reference to an attribute that a call of the function leaves out.
  func attribute(_ message: OpaquePointer) throws -> Attribute? {
    let info = lp_onnx_attribute_get(message)
    guard info.reference.count == 0 else {
      guard let arguments else {
        throw Failure(.invalidModel, "it refers to \(shown(info.reference)) of a function, but is not in one")
      }
      return arguments[try string(info.reference, "the attribute that it refers to")]
    }
    switch info.type {
    case LP_ONNX_ATTRIBUTE_FLOAT: return .float(info.f)
    case LP_ONNX_ATTRIBUTE_INT: return .int(Int(info.i))
    case LP_ONNX_ATTRIBUTE_STRING: return .string(try string(info.s, "it"))
    case LP_ONNX_ATTRIBUTE_TENSOR:
      guard let tensor = info.t else { throw Failure(.invalidModel, "the tensor is missing") }
      return .tensor(try weights.tensor(tensor))
    case LP_ONNX_ATTRIBUTE_GRAPH:
      guard let graph = info.g else { throw Failure(.invalidModel, "the graph is missing") }
      return .graph(try self.graph(graph))
    case LP_ONNX_ATTRIBUTE_FLOATS:
      return .floats(Array(UnsafeBufferPointer(start: info.floats, count: info.float_count)))
    case LP_ONNX_ATTRIBUTE_INTS:
      return .ints(UnsafeBufferPointer(start: info.ints, count: info.int_count).map(Int.init))
    case LP_ONNX_ATTRIBUTE_STRINGS:
      return .strings(try (0..<info.string_count).map { try string(lp_onnx_attribute_string(message, $0), "it") })
    case LP_ONNX_ATTRIBUTE_SPARSE_TENSOR:
      guard let sparse = info.sparse else { throw Failure(.invalidModel, "the tensor is missing") }
      return .tensor(try weights.tensor(sparse: sparse))
    case LP_ONNX_ATTRIBUTE_UNKNOWN: throw Failure(.invalidModel, "it has no value")
    default: throw refused(info.type)
    }
  }

  private func refused(_ type: lp_onnx_attribute_type) -> Failure {
    let what =
      switch type {
      case LP_ONNX_ATTRIBUTE_TENSORS: "a list of tensors is"
      case LP_ONNX_ATTRIBUTE_GRAPHS: "a list of graphs is"
      case LP_ONNX_ATTRIBUTE_SPARSE_TENSORS: "a list of sparse tensors is"
      case LP_ONNX_ATTRIBUTE_TYPE_PROTO, LP_ONNX_ATTRIBUTE_TYPE_PROTOS: "types are"
      default: "values of this kind are"
      }
    return Failure(.unsupported, "\(what) not supported as an attribute")
  }

  /// The value of a `Constant` node: exactly one attribute says it.
  static func constant(_ attributes: [String: Attribute]) throws -> Tensor {
    guard attributes.count == 1, let (name, value) = attributes.first else {
      throw Failure(.invalidModel, "it must have exactly one attribute, its value")
    }
    switch (name, value) {
    case ("value", .tensor(let tensor)), ("sparse_value", .tensor(let tensor)): return tensor
    case ("value_float", .float(let value)): return try Tensor([value], .scalar)
    case ("value_floats", .floats(let values)): return try Tensor(values, Shape(trusted: [values.count]))
    case ("value_int", .int(let value)): return try Tensor([Int64(value)], .scalar)
    case ("value_ints", .ints(let values)):
      return try Tensor(values.map(Int64.init), Shape(trusted: [values.count]))
    case ("value_string", .string), ("value_strings", .strings):
      throw Failure(.unsupported, "elements of type string are not supported")
    default: throw Failure(.invalidModel, "a constant cannot be made of its attribute \(quoted(name))")
    }
  }
}
