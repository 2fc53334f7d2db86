// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// DynamicQuantizeLinear, ConvInteger and MatMulInteger.
///
/// Gradients take scales and zero points for constants (the straight-through estimator), and pass sums of whole numbers
/// that become floating-point numbers at once, as dynamic quantisation has them.
extension Lowering {
  static let integerRules: [String: Rule] = [
    "DynamicQuantizeLinear": dynamicQuantization, "ConvInteger": integerConvolution, "MatMulInteger": integerProduct,
    "Cast": { lowering, node in
      guard let sum = node.input(0).flatMap({ lowering.sums[$0] }) else { return lowering.add(node) }
      var cast = node
      cast.inputs[0] = sum
      lowering.add(cast)
    },
  ]

  /// The range of x, zero included, in 255 steps; a range of nothing in steps of 1.
  private static func dynamicQuantization(_ lowering: inout Lowering, _ node: Node) throws {
    let x = try lowering.input(node, 0)
    let zero = try lowering.constant(Float(0))
    let steps = try lowering.constant(Float(255))
    let whole: [String: Attribute] = ["keepdims": .int(0)]
    let values = lowering.emit("Detach", [x], domain: "limpid")
    let low = lowering.emit("Min", [lowering.emit("ReduceMin", [values], whole), zero])
    let high = lowering.emit("Max", [lowering.emit("ReduceMax", [values], whole), zero])
    let range = lowering.emit("Sub", [high, low])
    let isEmpty = lowering.emit("Equal", [range, zero])
    let scale = lowering.emit(
      "Where", [isEmpty, try lowering.constant(Float(1)), lowering.emit("Div", [range, steps])],
      to: node.output(1))
    let place = lowering.emit("Sub", [zero, lowering.emit("Div", [low, scale])])
    let rounded = lowering.emit("Round", [lowering.emit("Clip", [place, zero, steps])])
    let zeroPoint = lowering.emit(
      "Cast", [rounded], ["to": .int(Int(ElementType.uint8.rawValue))], to: node.output(2))
    lowering.emit("QuantizeLinear", [x, scale, zeroPoint], to: node.output(0))
  }

  /// `value - zero` in float32. Zero points for each index of `axis` must be constant, or of a declared shape.
  mutating func difference(_ value: ValueID, _ zero: ValueID?, axis: Int) throws -> ValueID {
    let shape = zero.flatMap(weightShape) ?? .scalar
    if shape.rank > 1, let zero {
      let to: [String: Attribute] = ["to": .int(Int(ElementType.float32.rawValue))]
      return emit("Sub", [emit("Cast", [value], to), emit("Cast", [zero], to)])
    }
    guard shape.count <= 1 << 24 else { throw Failure(.unsupported, "zero points of shape \(shape)") }
    let ones = constant(try Tensor([Float](repeating: 1, count: shape.count), shape))
    return dequantize(value, ones, zero, axis: axis)
  }

  /// Sums beyond 2^24 are rounded to float32 before they become integers.
  private mutating func integer(_ sum: ValueID, to target: ValueID?) {
    let result = emit("Cast", [sum], ["to": .int(Int(ElementType.int32.rawValue))], to: target)
    sums[result] = sum
  }

  private static func integerConvolution(_ lowering: inout Lowering, _ node: Node) throws {
    let x = try lowering.difference(lowering.input(node, 0), node.input(2), axis: 1)
    let w = try lowering.difference(lowering.input(node, 1), node.input(3), axis: 0)
    let y = lowering.newValue()
    try lowering.lower(
      Node("Conv", name: node.name, inputs: [x, w], outputs: [y], attributes: node.attributes, version: version))
    lowering.integer(y, to: node.output(0))
  }

  private static func integerProduct(_ lowering: inout Lowering, _ node: Node) throws {
    let a = try lowering.difference(lowering.input(node, 0), node.input(2), axis: -2)
    let b = try lowering.difference(lowering.input(node, 1), node.input(3), axis: -1)
    lowering.integer(lowering.emit("MatMul", [a, b]), to: node.output(0))
  }
}
