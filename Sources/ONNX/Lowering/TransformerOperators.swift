// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// What ONNX Runtime fuses of transformers: normalisations with what is added before, attention of several heads.
extension Lowering {
  static let transformerRules: [String: Rule] = [
    "SkipLayerNormalization": skipNormalization, "SkipSimplifiedLayerNormalization": skipNormalization,
    "SimplifiedLayerNormalization": simplifiedNormalization, "MultiHeadAttention": multiHeadAttention,
    "Attention": attention,
  ]

  /// x and what is added to it, scale, shift (which the simplified form lacks), bias. Output 3 is the sum.
  private static func skipNormalization(_ lowering: inout Lowering, _ node: Node) throws {
    let isSimplified = node.operation == "SkipSimplifiedLayerNormalization"
    for i in [1, 2] where node.output(i) != nil {
      throw Failure(.unsupported, "output \(i) is not supported")
    }
    let bias = node.input(isSimplified ? 3 : 4)
    let sum = node.output(3) ?? lowering.newValue()
    let added = lowering.emit(
      "Add", [try lowering.input(node, 0), try lowering.input(node, 1)], to: bias == nil ? sum : nil)
    if let bias { lowering.emit("Add", [added, bias], to: sum) }
    let epsilon = Attribute.float(try node.float("epsilon", default: 1e-12))
    let inputs = [sum, try lowering.input(node, 2)] + (isSimplified ? [] : [node.input(3)])
    lowering.emit(
      isSimplified ? "RMSNormalization" : "LayerNormalization", inputs, ["axis": .int(-1), "epsilon": epsilon],
      to: node.output(0))
  }

  /// ONNX Runtime writes it in ONNX's domain as well.
  static func simplifiedNormalization(_ lowering: inout Lowering, _ node: Node) throws {
    try lowering.refuse(node, outputsFrom: 1)
    let attributes = node.attributes.filter { ["axis", "epsilon"].contains($0.key) }
    lowering.emit("RMSNormalization", node.inputs, attributes, to: node.output(0))
  }

  /// Queries, keys and values [batch, rows, heads × width], a bias for all three, what is added to the scores.
  private static func multiHeadAttention(_ lowering: inout Lowering, _ node: Node) throws {
    guard node.input(1) != nil, node.input(2) != nil else {
      throw Failure(.unsupported, "queries, keys and values in one input are not supported")
    }
    try lowering.refuse(node, inputs: 4..<5, "a mask of keys")
    try lowering.refuse(node, inputs: 6..<10, "what earlier calls left")
    var parts = try (0..<3).map { try lowering.input(node, $0) }
    if let bias = node.input(3) {
      let biases = lowering.emit("Split", [bias], ["axis": .int(0), "num_outputs": .int(3)], outputs: 3)
      parts = zip(parts, biases).map { lowering.emit("Add", [$0, $1]) }
    }
    try lowering.attend(node, parts, mask: node.input(5))
  }

  /// x [batch, rows, width], the weights of queries, keys and values side by side, their bias.
  private static func attention(_ lowering: inout Lowering, _ node: Node) throws {
    try lowering.refuse(node, inputs: 3..<4, "a mask of keys")
    try lowering.refuse(node, inputs: 4..<5, "what earlier calls left")
    try lowering.refuse(node, inputs: 6..<7, "what earlier calls left")
    try lowering.refuse(node, flag: "do_rotary")
    var joined = lowering.emit("MatMul", [try lowering.input(node, 0), try lowering.input(node, 1)])
    if let bias = node.input(2) { joined = lowering.emit("Add", [joined, bias]) }
    let sizes = try node.ints("qkv_hidden_sizes")
    let inputs = [joined] + (try sizes.map { [try lowering.constant($0)] } ?? [])
    var attributes: [String: Attribute] = ["axis": .int(-1)]
    if sizes == nil { attributes["num_outputs"] = .int(3) }
    let parts = lowering.emit("Split", inputs, attributes, outputs: 3)
    try lowering.attend(node, parts, mask: node.input(5))
  }

  private mutating func attend(_ node: Node, _ parts: [ValueID], mask: ValueID?) throws {
    try refuse(node, outputsFrom: 1)
    guard let heads = try node.int("num_heads"), heads > 0 else { throw Failure(.invalidModel, "num_heads is missing") }
    var attributes: [String: Attribute] = ["q_num_heads": .int(heads), "kv_num_heads": .int(heads)]
    if let scale = try node.float("scale"), scale != 0 { attributes["scale"] = .float(scale) }
    if try node.flag("unidirectional") { attributes["is_causal"] = .int(1) }
    emit("Attention", parts + (mask.map { [$0] } ?? []), attributes, to: node.output(0))
  }
}
