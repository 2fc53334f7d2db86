import Graph
import Kernels
import Tensors

/// Quantised and dequantised in one step, without integers between: what plans make of a QuantizeLinear that only a
/// DequantizeLinear of the same zero point reads, each with one scale. The same bits.
public enum RoundToSteps {
  static let definitions = [
    OperatorDefinition(name, domain: "limpid") { request in
      try request.require(0, .float32)
      let x = try request.input(0)
      let function = try Activation(name, request.node.floats("parameters") ?? []).function
      let kernels = request.kernels
      let count = x.shape.count
      return Step(inputs: [x.layout], outputs: [Operand(.float32, x.shape, layout: x.layout)], overwritable: [0]) {
        kernels.unary(function, $0.input(0), into: $0.output(), count: count, $0.parallel)
      }
    }.local(.element)
  ]

  public static let name = "RoundToSteps"

  /// factor, divisor, low, high, step: `clamp(round(x * factor / divisor), low, high) * step`. nil where the scales or
  /// zero point are not one constant each, or the two nodes do not fit.
  public static func parameters(
    quantizing scale: Tensor?, dequantizing step: Tensor?, zero: Tensor?, _ type: ElementType
  ) throws -> [Float]? {
    guard let range = type.steps, let scale, scale.count == 1, scale.type == .float32, let step, step.count == 1,
      step.type == .float32, zero?.count ?? 1 == 1
    else { return nil }
    let shift = try zero?.integers()[0] ?? 0
    return [
      1, scale.array(of: Float.self)[0], Float(range.lowerBound - shift), Float(range.upperBound - shift),
      step.array(of: Float.self)[0],
    ]
  }

  /// The same for what is clamped to low...high before: rounding keeps the order.
  public static func parameters(_ parameters: [Float], clampedTo low: Float, _ high: Float) -> [Float] {
    var result = parameters
    func level(_ bound: Float) -> Float {
      let level = (bound * parameters[0] / parameters[1]).rounded(.toNearestOrEven)
      return min(max(level, parameters[2]), parameters[3])
    }
    (result[2], result[3]) = (level(low), level(high))
    return result
  }
}
