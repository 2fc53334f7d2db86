import Graph
import Tensors

/// QuantizeLinear and DequantizeLinear, with one scale, one for each index of an axis, or one for each block of it.
enum Quantization {
  static let definitions = [
    OperatorDefinition("QuantizeLinear", plan: planQuantize).gradient(QuantizationGradients.quantize),
    OperatorDefinition("DequantizeLinear", plan: planDequantize).gradient(QuantizationGradients.dequantize),
  ]

  /// How the elements of input 0 find their scale and zero point.
  private struct Scales: Sendable {
    let split: AxisSplit
    /// Indices of the axis that share a scale, and how many scales the axis has.
    var block = 1
    var blocks: Int
    /// Whether scales differ along the other axes too.
    var isByBlock = false

    init(_ request: Request) throws {
      let (x, scale) = (try request.input(0).shape, try request.input(1).shape)
      try request.require(1, .float32)
      if request.has(2), try request.input(2).shape.count != scale.count {
        throw Failure(.invalidModel, "scale and zero point differ in shape")
      }
      let block = try request.node.int("block_size", default: 0)
      if scale.count == 1 {
        split = AxisSplit([1, 1, x.count], axis: 1)
        blocks = 1
        return
      }
      let axis = try request.axis(request.node.int("axis", default: 1), rank: x.rank)
      split = AxisSplit(x.dimensions, axis: axis)
      blocks = x[axis]
      var expected: Shape = [x[axis]]
      if block > 0 {
        self.block = block
        blocks = (x[axis] - 1) / block + 1
        isByBlock = true
        expected = Shape(trusted: x.dimensions.enumerated().map { $0 == axis ? blocks : $1 })
      }
      guard scale == expected else {
        throw Failure(.invalidModel, "a scale of shape \(scale) for axis \(axis) of \(x); expected \(expected)")
      }
    }

    var count: Int { split.outer * split.axis * split.inner }

    /// Where the scale of element `i` lies.
    @inline(__always)
    func place(_ i: Int) -> Int {
      let k = i / split.inner % split.axis / block
      return isByBlock ? (i / (split.inner * split.axis) * blocks + k) * split.inner + i % split.inner : k
    }
  }

  private static func planQuantize(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let code = try request.node.int("output_dtype", default: 0)
    let declared = code == 0 ? nil : Int32(exactly: code).flatMap(ElementType.init)
    let type = request.has(2) ? try request.input(2).type : declared ?? .uint8
    guard [.uint8, .int8, .uint16, .int16].contains(type) else {
      throw Failure(.unsupported, "quantisation to \(type) is not supported")
    }
    let body = QuantizeBody(scales: try Scales(request), hasZero: request.has(2))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(type, try request.input(0).shape)],
      run: try type.withInteger(body))
  }

  private struct QuantizeBody: IntegerBody {
    let scales: Scales
    let hasZero: Bool

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [scales, hasZero] run in
        let (x, scale): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(0), run.input(1))
        let zero: UnsafePointer<T>? = hasZero ? run.input(2) : nil
        let output: UnsafeMutablePointer<T> = run.output()
        for i in 0..<scales.count {
          let k = scales.place(i)
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
    let body = DequantizeBody(scales: try Scales(request), hasZero: request.has(2))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(.float32, x.shape)], run: try x.type.withInteger(body))
  }

  private struct DequantizeBody: IntegerBody {
    let scales: Scales
    let hasZero: Bool

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [scales, hasZero] run in
        let (x, scale): (UnsafePointer<T>, UnsafePointer<Float>) = (run.input(0), run.input(1))
        let zero: UnsafePointer<T>? = hasZero ? run.input(2) : nil
        let output: UnsafeMutablePointer<Float> = run.output()
        for i in 0..<scales.count {
          let k = scales.place(i)
          output[i] = (Float(x[i]) - Float(zero?[k] ?? 0)) * scale[k]
        }
      }
    }
  }
}
