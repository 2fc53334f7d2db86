import Graph
import Tensors

/// Gradients of quantisation: the straight-through estimator, clipped. Rounding counts as no change, so within the
/// range that the quantised type can hold the gradient passes QuantizeLinear and DequantizeLinear as it is (times
/// scale, divided by scale), and scales count as constants, since both together move a value by less than a step; where
/// a value is clamped to the end of the range it is 0, as in PyTorch's fake quantisation.
enum QuantizationGradients {
  static let dequantize = GradientRule.unary { e, node, dy in
    try e.multiply(dy, scale(&e, node))
  }

  static let quantize = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
    let (x, scale) = (try e.input(node, 0), try scale(&e, node))
    let type = try e.operand(e.output(node)).type
    var level = try e.divide(x, scale)
    let range: ClosedRange<Float>
    if let format = type.smallFloat {
      range = -format.greatestValue...format.greatestValue
    } else if let steps = type.steps {
      range = Float(steps.lowerBound)...Float(steps.upperBound)
      level = try e("Round", level)
    } else {
      throw Failure(.unsupported, "its gradient to \(type) is not supported")
    }
    if node.input(2) != nil {
      let zero = try e("Cast", e.input(node, 2), attributes: ["to": .int(Int(ElementType.float32.rawValue))])
      level = try e.add(level, spread(&e, node, zero))
    }
    let inside = try e(
      "And", e("GreaterOrEqual", level, e.constant(range.lowerBound)),
      e("LessOrEqual", level, e.constant(range.upperBound)))
    return [try e.pick(inside, e.divide(dy, scale), else: e.constant(Float(0)))]
  }

  private static func scale(_ e: inout Emitter, _ node: Node) throws -> ValueID {
    try spread(&e, node, e.input(node, 1))
  }

  /// Scales or zero points in a shape that broadcasts to the input's: one, or one for each index or block of an axis.
  private static func spread(_ e: inout Emitter, _ node: Node, _ value: ValueID) throws -> ValueID {
    let (shape, own) = (try e.shape(e.input(node, 0)), try e.operand(value).shape)
    if own.count == 1 { return try e.reshape(value, []) }
    let axis = try e.request(node).axis(node.int("axis", default: 1), rank: shape.count)
    let block = try node.int("block_size", default: 0)
    guard block > 0 else { return try e.reshape(value, shape.indices.map { $0 == axis ? shape[axis] : 1 }) }
    // Each of the axis repeated `block` times; the last block may be cut.
    var (apart, repeated, joined) = (own.dimensions, own.dimensions, own.dimensions)
    apart.insert(1, at: axis + 1)
    repeated.insert(min(block, shape[axis]), at: axis + 1)
    joined[axis] *= min(block, shape[axis])
    let whole = try e.reshape(e.expand(e.reshape(value, apart), repeated), joined)
    return try e("Slice", whole, e.constant([0]), e.constant([shape[axis]]), e.constant([axis]))
  }
}
