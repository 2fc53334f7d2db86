// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// What ONNX Runtime fuses when it optimises a graph and writes it to a file.
extension Lowering {
  static let fusedRules: [String: Rule] = [
    "FusedConv": fusedConvolution, "FusedGemm": fusedGemm, "FusedMatMul": fusedProduct,
    "TransposeMatMul": fusedProduct, "Gelu": gelu("none"), "BiasGelu": gelu("none"), "FastGelu": gelu("tanh"),
    "QuickGelu": quickGelu, "GridSample": gridSample,
  ]

  /// x, w, bias, and what is added before the activation.
  private static func fusedConvolution(_ lowering: inout Lowering, _ node: Node) throws {
    var attributes = node.attributes
    attributes["activation"] = nil
    attributes["activation_params"] = nil
    let activation = try node.string("activation") ?? ""
    let sum = node.input(3)
    let isLast = activation.isEmpty && sum == nil
    let y = isLast ? node.output(0) : lowering.newValue()
    try lowering.lower(
      Node(
        "Conv", name: node.name, inputs: Array(node.inputs.prefix(3)), outputs: [y], attributes: attributes,
        version: version))
    guard !isLast, var value = y else { return }
    if let sum { value = lowering.emit("Add", [value, sum], to: activation.isEmpty ? node.output(0) : nil) }
    let parameters = try node.floats("activation_params") ?? []
    if !activation.isEmpty { try lowering.activate(value, activation, parameters, to: node.output(0)) }
  }

  private static func fusedGemm(_ lowering: inout Lowering, _ node: Node) throws {
    let attributes = node.attributes.filter { ["alpha", "beta", "transA", "transB"].contains($0.key) }
    let activation = try node.string("activation") ?? ""
    let y = lowering.emit("Gemm", node.inputs, attributes, to: activation.isEmpty ? node.output(0) : nil)
    if activation.isEmpty { return }
    let parameters = try ["alpha", "beta", "gamma"].compactMap { try node.float("activation_\($0)") }
    try lowering.activate(y, activation, parameters, to: node.output(0))
  }

  private mutating func activate(
    _ value: ValueID, _ activation: String, _ parameters: [Float], to target: ValueID?
  ) throws {
    let keys: [String: [String]] = [
      "Relu": [], "Sigmoid": [], "Tanh": [], "HardSwish": [], "Softplus": [], "Softsign": [], "Clip": ["min", "max"],
      "LeakyRelu": ["alpha"], "Elu": ["alpha"], "ThresholdedRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"],
    ]
    guard let names = keys[activation] else {
      throw Failure(.unsupported, "the activation \(quoted(activation)) is not supported")
    }
    guard parameters.count <= names.count || names.isEmpty else {
      throw Failure(.invalidModel, "\(parameters.count) parameters for the activation \(activation)")
    }
    if activation == "Clip" {
      emit("Clip", [value] + (try parameters.map { try constant($0) }), to: target)
    } else {
      emit(activation, [value], Dictionary(zip(names, parameters.map(Attribute.float))) { $1 }, to: target)
    }
  }

  /// `alpha a b`, each transposed before where the node says so.
  private static func fusedProduct(_ lowering: inout Lowering, _ node: Node) throws {
    try lowering.refuse(node, flag: "transBatchA")
    try lowering.refuse(node, flag: "transBatchB")
    let alpha = try node.float("alpha", default: 1)
    let a = try lowering.matrix(lowering.input(node, 0), isTransposed: node.flag("transA"))
    let b = try lowering.matrix(lowering.input(node, 1), isTransposed: node.flag("transB"))
    let y = lowering.emit("MatMul", [a, b], to: alpha == 1 ? node.output(0) : nil)
    if alpha != 1 { lowering.emit("Mul", [y, try lowering.constant(alpha)], to: node.output(0)) }
  }

  private mutating func matrix(_ value: ValueID, isTransposed: Bool) -> ValueID {
    guard isTransposed else { return value }
    guard let rank = weightShape(value)?.rank, rank >= 2 else {
      return emit("Einsum", [value], ["equation": .string("...ij->...ji")])
    }
    let order = Array(0..<rank - 2) + [rank - 1, rank - 2]
    return emit("Transpose", [value], ["perm": .ints(order)])
  }

  /// Gelu of x, or of the sum of x and a bias.
  private static func gelu(_ form: String) -> Rule {
    { lowering, node in
      var x = try lowering.input(node, 0)
      if let bias = node.input(1) { x = lowering.emit("Add", [x, bias]) }
      lowering.emit("Gelu", [x], ["approximate": .string(form)], to: node.output(0))
    }
  }

  /// `x sigmoid(alpha x)`.
  private static func quickGelu(_ lowering: inout Lowering, _ node: Node) throws {
    try lowering.swish(node, alpha: node.float("alpha", default: 1.702))
  }

  mutating func swish(_ node: Node, alpha: Float) throws {
    let x = try input(node, 0)
    let scaled = alpha == 1 ? x : emit("Mul", [x, try constant(alpha)])
    emit("Mul", [x, emit("Sigmoid", [scaled])], to: node.output(0))
  }

  private static func gridSample(_ lowering: inout Lowering, _ node: Node) throws {
    var plain = node
    plain.domain = ""
    plain.version = 16
    lowering.add(plain)
  }
}
