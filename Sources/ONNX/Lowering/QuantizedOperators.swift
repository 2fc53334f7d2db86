// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Operators on quantised numbers, as DequantizeLinear, the operator itself, QuantizeLinear.
///
/// Convolutions and products sum whole numbers, exactly up to 2^24, and multiply the sum by one factor, as ONNX defines
/// them: sums half way between two steps of the result are not rare.
extension Lowering {
  /// ONNX's own; ONNX Runtime has them in its domain, too.
  static let quantizedRules: [String: Rule] = [
    "QLinearConv": convolution, "QLinearMatMul": matrixProduct, "MaxPool": maximum,
  ]

  static let microsoftQuantizedRules: [String: Rule] = [
    "QuantizeLinear": renamed("QuantizeLinear"), "DequantizeLinear": renamed("DequantizeLinear"),
    "QLinearAdd": pair("Add"), "QLinearMul": pair("Mul"),
    "QLinearSigmoid": single("Sigmoid"), "QLinearLeakyRelu": single("LeakyRelu", keys: ["alpha"]),
    "QLinearAveragePool": pool("AveragePool"), "QLinearGlobalAveragePool": pool("GlobalAveragePool"),
    "NhwcMaxPool": { try $0.channelsLast(plain("MaxPool", keys: windowKeys), $1) },
    "QLinearSoftmax": softmax, "QLinearConcat": concatenation, "QLinearWhere": choice, "QGemm": gemm,
    "MatMulIntegerToFloat": scaledProduct, "DynamicQuantizeMatMul": dynamicProduct,
  ]

  static let windowKeys = [
    "auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape", "pads", "strides",
    "storage_order",
  ]

  // MARK: Between numbers and steps

  mutating func dequantize(
    _ value: ValueID, _ scale: ValueID, _ zero: ValueID?, axis: Int = 1, to target: ValueID? = nil
  ) -> ValueID {
    emit("DequantizeLinear", [value, scale, zero], ["axis": .int(axis)], to: target)
  }

  /// Inputs `i`, its scale and its zero point, which follow.
  private mutating func dequantize(_ node: Node, _ i: Int, axis: Int = 1) throws -> ValueID {
    dequantize(try input(node, i), try input(node, i + 1), node.input(i + 2), axis: axis)
  }

  /// Quantises `value` by the scale and zero point at `i`; the type of a zero point that is left out is that of `like`.
  private mutating func quantize(_ value: ValueID, _ node: Node, _ i: Int, like: ValueID, axis: Int = 1) throws {
    let scale = try input(node, i)
    let zero = try node.input(i + 1) ?? emit("CastLike", [constant(Float(0)), like])
    emit("QuantizeLinear", [value, scale, zero], ["axis": .int(axis)], to: node.output(0))
  }

  // MARK: Rules

  private static func renamed(_ operation: String) -> Rule {
    { lowering, node in
      lowering.add(
        Node(
          operation, name: node.name, inputs: node.inputs, outputs: node.outputs, attributes: node.attributes,
          version: version))
    }
  }

  private static func plain(_ operation: String, keys: [String]) -> Rule {
    { lowering, node in
      let attributes = node.attributes.filter { keys.contains($0.key) }
      lowering.add(
        Node(
          operation, name: node.name, inputs: node.inputs, outputs: node.outputs, attributes: attributes,
          version: version))
    }
  }

  /// a, its scale and zero point, b with its own, those of the result.
  private static func pair(_ operation: String) -> Rule {
    { lowering, node in
      let a = try lowering.dequantize(node, 0)
      let b = try lowering.dequantize(node, 3)
      try lowering.quantize(lowering.emit(operation, [a, b]), node, 6, like: lowering.input(node, 0))
    }
  }

  /// x, its scale and zero point, those of the result.
  private static func single(_ operation: String, keys: [String] = []) -> Rule {
    { lowering, node in
      let x = try lowering.dequantize(node, 0)
      let y = lowering.emit(operation, [x], node.attributes.filter { keys.contains($0.key) })
      try lowering.quantize(y, node, 3, like: lowering.input(node, 0))
    }
  }

  private static func pool(_ operation: String) -> Rule {
    { try $0.channelsLast(single(operation, keys: operation == "AveragePool" ? windowKeys : []), $1) }
  }

  /// `rule` for a node that may have its channels last: between two transpositions.
  private mutating func channelsLast(_ rule: Rule, _ node: Node) throws {
    let isLast = try node.operation.hasPrefix("Nhwc") || node.flag("channels_last")
    var inner = node
    inner.attributes["channels_last"] = nil
    guard isLast else { return try rule(&self, inner) }
    let rank = try (node.ints("kernel_shape")?.count ?? 2) + 2
    inner.inputs[0] = moveChannels(try input(node, 0), rank: rank, toFront: true)
    let y = newValue()
    inner.outputs = [y]
    try rule(&self, inner)
    _ = moveChannels(y, rank: rank, toFront: false, to: node.output(0))
  }

  /// x, w, those of the result (each with scale and zero point), bias in steps of both scales.
  private static func convolution(_ lowering: inout Lowering, _ node: Node) throws {
    try lowering.channelsLast(
      { lowering, node in
        let weights = try lowering.input(node, 3)
        let x = try lowering.difference(lowering.input(node, 0), node.input(2), axis: 1)
        let w = try lowering.difference(weights, node.input(5), axis: 0)
        let bias = try node.input(8).map { try lowering.difference($0, nil, axis: 0) }
        let y = lowering.newValue()
        try lowering.lower(
          Node(
            "Conv", name: node.name, inputs: [x, w] + (bias.map { [$0] } ?? []), outputs: [y],
            attributes: node.attributes, version: version))
        let spatial = max(0, (lowering.weightShape(weights)?.rank ?? 4) - 2)
        let scale = try lowering.placed(lowering.input(node, 4), before: spatial)
        try lowering.rescale(y, node, lowering.input(node, 1), scale)
      }, node)
  }

  /// a, b and the result, each with scale and zero point: one, or by row of a, by column of b.
  private static func matrixProduct(_ lowering: inout Lowering, _ node: Node) throws {
    let a = try lowering.difference(lowering.input(node, 0), node.input(2), axis: -2)
    let b = try lowering.difference(lowering.input(node, 3), node.input(5), axis: -1)
    let scale = try lowering.placed(lowering.input(node, 1), before: 1)
    try lowering.rescale(lowering.emit("MatMul", [a, b]), node, scale, lowering.input(node, 4))
  }

  /// A pool of quantised numbers, which keep their scale whatever it is.
  private static func maximum(_ lowering: inout Lowering, _ node: Node) throws {
    guard let x = node.input(0), let maker = lowering.maker(of: x), maker.operation == "QuantizeLinear",
      maker.domain.isEmpty, let zero = maker.input(2), lowering.weightShape(zero)?.count == 1,
      node.output(1) == nil
    else { return lowering.add(node) }
    let one = try lowering.constant(Float(1))
    let y = lowering.emit("MaxPool", [lowering.dequantize(x, one, zero)], node.attributes)
    lowering.emit("QuantizeLinear", [y, one, zero], to: node.output(0))
  }

  /// Scales by index, with `count` axes of extent 1 behind them; a scale for all stays.
  private mutating func placed(_ scale: ValueID, before count: Int) throws -> ValueID {
    guard let shape = weightShape(scale), shape.count > 1, shape.rank == 1 else { return scale }
    return emit("Reshape", [scale, try constant([-1] + [Int](repeating: 1, count: count))])
  }

  /// A sum of products in steps of two scales, in those of the result, whose scale and zero point are inputs 6 and 7.
  private mutating func rescale(_ sum: ValueID, _ node: Node, _ a: ValueID, _ b: ValueID) throws {
    let factor = emit("Div", [emit("Mul", [a, b]), try input(node, 6)])
    let zero = try node.input(7) ?? emit("CastLike", [constant(Float(0)), input(node, 0)])
    emit("QuantizeLinear", [emit("Mul", [sum, factor]), try constant(Float(1)), zero], to: node.output(0))
  }

  private static func softmax(_ lowering: inout Lowering, _ node: Node) throws {
    let x = try lowering.dequantize(node, 0)
    let version = try node.int("opset", default: 13)
    let axis = try node.int("axis", default: version < 13 ? 1 : -1)
    let y = lowering.emit("Softmax", [x], ["axis": .int(axis)], version: version)
    try lowering.quantize(y, node, 3, like: lowering.input(node, 0))
  }

  /// Scale and zero point of the result, then each part with its own.
  private static func concatenation(_ lowering: inout Lowering, _ node: Node) throws {
    guard node.inputs.count >= 5, node.inputs.count % 3 == 2 else {
      throw Failure(.invalidModel, "it has \(node.inputs.count) inputs; expected 2 and 3 for each part")
    }
    let parts = try stride(from: 2, to: node.inputs.count, by: 3).map { try lowering.dequantize(node, $0) }
    let axis = Attribute.int(try node.int("axis", default: 0))
    try lowering.quantize(lowering.emit("Concat", parts, ["axis": axis]), node, 0, like: lowering.input(node, 2))
  }

  private static func choice(_ lowering: inout Lowering, _ node: Node) throws {
    let x = try lowering.dequantize(node, 1)
    let y = try lowering.dequantize(node, 4)
    let z = lowering.emit("Where", [try lowering.input(node, 0), x, y])
    try lowering.quantize(z, node, 7, like: lowering.input(node, 1))
  }

  /// Gemm whose c is in steps of alpha and both scales; without a scale of the result it is not quantised.
  private static func gemm(_ lowering: inout Lowering, _ node: Node) throws {
    let isTransposed = try node.flag("transB")
    let a = try lowering.dequantize(node, 0)
    let b = try lowering.dequantize(node, 3, axis: isTransposed ? 0 : 1)
    let alpha = try node.float("alpha", default: 1)
    let c = try node.input(6).map { c in
      let scale = lowering.emit("Mul", [try lowering.input(node, 1), try lowering.input(node, 4)])
      let factor = try lowering.constant(alpha)
      return lowering.dequantize(c, lowering.emit("Mul", [scale, factor]), nil, axis: -1)
    }
    let attributes: [String: Attribute] = [
      "alpha": .float(alpha), "transA": .int(try node.int("transA", default: 0)), "transB": .int(isTransposed ? 1 : 0),
    ]
    let isQuantized = node.input(7) != nil
    let y = lowering.emit(
      "Gemm", [a, b] + (c.map { [$0] } ?? []), attributes, to: isQuantized ? nil : node.output(0))
    if isQuantized { try lowering.quantize(y, node, 7, like: lowering.input(node, 0)) }
  }

  /// a, b, their scales, their zero points, a bias.
  private static func scaledProduct(_ lowering: inout Lowering, _ node: Node) throws {
    let a = lowering.dequantize(
      try lowering.input(node, 0), try lowering.input(node, 2), node.input(4), axis: -2)
    let b = lowering.dequantize(
      try lowering.input(node, 1), try lowering.input(node, 3), node.input(5), axis: -1)
    lowering.product(a, b, plus: node.input(6), to: node.output(0))
  }

  /// a in floating point, b with scale and zero point, a bias.
  private static func dynamicProduct(_ lowering: inout Lowering, _ node: Node) throws {
    let parts = (0..<3).map { _ in lowering.newValue() }
    try lowering.lower(
      Node("DynamicQuantizeLinear", name: node.name, inputs: [try lowering.input(node, 0)], outputs: parts))
    let a = lowering.dequantize(parts[0], parts[1], parts[2])
    let b = lowering.dequantize(
      try lowering.input(node, 1), try lowering.input(node, 2), node.input(3), axis: -1)
    lowering.product(a, b, plus: node.input(4), to: node.output(0))
  }

  private mutating func product(_ a: ValueID, _ b: ValueID, plus bias: ValueID?, to target: ValueID?) {
    let y = emit("MatMul", [a, b], to: bias == nil ? target : nil)
    if let bias { emit("Add", [y, bias], to: target) }
  }
}
