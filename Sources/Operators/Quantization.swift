import Graph
import Tensors

/// QuantizeLinear and DequantizeLinear, with one scale or one for each index of an axis.
enum Quantization {
  static let definitions = [
    OperatorDefinition("QuantizeLinear", plan: planQuantize),
    OperatorDefinition("DequantizeLinear", plan: planDequantize),
  ]

  /// How the elements of input 0 find their scale and zero point.
  private static func split(_ request: Request) throws -> AxisSplit {
    let (x, scale) = (try request.input(0).shape, try request.input(1).shape)
    try request.require(1, .float32)
    if try request.node.int("block_size", default: 0) != 0 {
      throw Failure(.unsupported, "quantisation in blocks is not supported")
    }
    if request.has(2), try request.input(2).shape.count != scale.count {
      throw Failure(.invalidModel, "scale and zero point differ in shape")
    }
    if scale.count == 1 { return AxisSplit([1, 1, x.count], axis: 1) }
    let axis = try request.axis(request.node.int("axis", default: 1), rank: x.rank)
    guard scale == [x[axis]] else {
      throw Failure(.invalidModel, "a scale of shape \(scale) for axis \(axis) of \(x)")
    }
    return AxisSplit(x.dimensions, axis: axis)
  }

  private static func planQuantize(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let code = try request.node.int("output_dtype", default: 0)
    let declared = code == 0 ? nil : Int32(exactly: code).flatMap(ElementType.init)
    let type = request.has(2) ? try request.input(2).type : declared ?? .uint8
    guard [.uint8, .int8, .uint16, .int16].contains(type) else {
      throw Failure(.unsupported, "quantisation to \(type) is not supported")
    }
    let body = QuantizeBody(split: try split(request), hasZero: request.has(2))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(type, try request.input(0).shape)],
      run: try type.withInteger(body))
  }

  private struct QuantizeBody: IntegerBody {
    let split: AxisSplit
    let hasZero: Bool

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [split, hasZero] run in
        let (x, scale): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(0), run.input(1))
        let zero: UnsafePointer<T>? = hasZero ? run.input(2) : nil
        let output: UnsafeMutablePointer<T> = run.output()
        for i in 0..<split.outer * split.axis * split.inner {
          let k = i / split.inner % split.axis
          let value = (x[i] / scale[k]).rounded(.toNearestOrEven) + Float(zero?[k] ?? 0)
          output[i] = value.isNaN ? 0 : T(min(max(value, Float(T.min)), Float(T.max)))
        }
      }
    }
  }

  private static func planDequantize(_ request: Request) throws -> Step {
    let x = try request.input(0)
    if request.has(2), try request.input(2).type != x.type {
      throw Failure(.invalidModel, "input and zero point differ in type")
    }
    let body = DequantizeBody(split: try split(request), hasZero: request.has(2))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(.float32, x.shape)], run: try x.type.withInteger(body))
  }

  private struct DequantizeBody: IntegerBody {
    let split: AxisSplit
    let hasZero: Bool

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [split, hasZero] run in
        let (x, scale): (UnsafePointer<T>, UnsafePointer<Float>) = (run.input(0), run.input(1))
        let zero: UnsafePointer<T>? = hasZero ? run.input(2) : nil
        let output: UnsafeMutablePointer<Float> = run.output()
        for i in 0..<split.outer * split.axis * split.inner {
          let k = i / split.inner % split.axis
          output[i] = (Float(x[i]) - Float(zero?[k] ?? 0)) * scale[k]
        }
      }
    }
  }
}
