import Graph
import Kernels
import Tensors

/// QuantizeLinear and DequantizeLinear, with one scale, one for each index of an axis, or one for each block of it.
enum Quantization {
  static let definitions = [
    OperatorDefinition("QuantizeLinear", plan: planQuantize).gradient(QuantizationGradients.quantize).local(.image),
    OperatorDefinition("DequantizeLinear", plan: planDequantize).gradient(QuantizationGradients.dequantize).local(
      .image),
  ]

  /// How the elements of input 0 find their scale and zero point.
  private struct Scales: Sendable {
    let split: AxisSplit
    /// Indices of the axis that share a scale, and how many scales the axis has.
    var block = 1
    var blocks: Int
    /// Whether scales differ along the other axes too.
    var isByBlock = false
    /// In which elements lie.
    var layout = Layout.standard
    private let scaleCount: Int

    init(_ request: Request) throws {
      let (x, scale) = (try request.input(0).shape, try request.input(1).shape)
      scaleCount = scale.count
      try request.require(1, .float32, .float8e8m0)
      if request.has(2), try request.input(2).shape.count != scale.count {
        throw Failure(.invalidModel, "scale and zero point differ in shape")
      }
      let block = try request.node.int("block_size", default: 0)
      if scale.count == 1 {
        split = AxisSplit([1, 1, x.count], axis: 1)
        blocks = 1
        layout = try request.input(0).layout
        return
      }
      let axis = try request.axis(request.node.int("axis", default: 1), rank: x.rank)
      if block <= 0 { layout = try request.input(0).layout }
      split = AxisSplit(layout.physical(x).dimensions, axis: layout.physicalAxis(axis, rank: x.rank))
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

    func layouts(_ request: Request) -> [Layout] {
      [layout] + request.standardLayouts.dropFirst()
    }

    /// Room for scales and zero points in floating point.
    var workspace: Int { 8 * scaleCount }

    /// Brings the scales and zero points of a run into its workspace.
    func values(_ request: Request) throws -> @Sendable (Invocation) -> Values {
      let isFloat = try request.input(1).type == .float32
      let scale = try Conversion.loop(from: request.input(1).type, to: .float32, count: scaleCount)
      let zero =
        try request.has(2)
        ? Conversion.loop(from: request.input(2).type, to: .float32, count: scaleCount) : nil
      return { [scaleCount] run in
        let memory = run.workspace.assumingMemoryBound(to: Float.self)
        let (zeros, scales) = (memory, memory + scaleCount)
        if let zero {
          zero(UnsafeRawPointer(run.input(2, as: UInt8.self)), zeros)
        } else {
          zeros.update(repeating: 0, count: scaleCount)
        }
        if isFloat { return Values(scale: run.input(1), zero: zeros) }
        scale(UnsafeRawPointer(run.input(1, as: UInt8.self)), scales)
        return Values(scale: UnsafePointer(scales), zero: zeros)
      }
    }

    /// Calls `body` with parts in which scales go along one axis at most: where the part begins, and its scales.
    func forEachBlock(_ type: ElementType, _ body: (_ steps: Kernels.Steps, _ first: Int, _ scale: Int) -> Void) {
      func part(_ outer: Int, _ axis: Int, _ inner: Int, _ first: Int, _ scale: Int) {
        if let steps = Kernels.Steps(type, outer: outer, axis: axis, inner: inner) { body(steps, first, scale) }
      }
      if scaleCount == 1 { return part(1, 1, count, 0, 0) }
      if !isByBlock { return part(split.outer, split.axis, split.inner, 0, 0) }
      for outer in 0..<split.outer {
        for first in stride(from: 0, to: split.axis, by: block) {
          let rows = min(block, split.axis - first)
          part(
            rows, split.inner, 1, (outer * split.axis + first) * split.inner,
            (outer * blocks + first / block) * split.inner)
        }
      }
    }
  }

  /// Scales and zero points of a run.
  private struct Values {
    let scale, zero: UnsafePointer<Float>

    init(scale: UnsafePointer<Float>, zero: UnsafeMutablePointer<Float>) {
      (self.scale, self.zero) = (scale, UnsafePointer(zero))
    }
  }

  private static func planQuantize(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let code = try request.node.int("output_dtype", default: 0)
    let declared = code == 0 ? nil : Int32(exactly: code).flatMap(ElementType.init)
    let type = request.has(2) ? try request.input(2).type : declared ?? .uint8
    let scales = try Scales(request)
    let output = Operand(type, try request.input(0).shape, layout: scales.layout)
    let values = try scales.values(request)
    if let format = type.smallFloat {
      let saturate = try request.node.int("saturate", default: 1) != 0
      return Step(inputs: scales.layouts(request), outputs: [output], workspace: scales.workspace) { run in
        let (x, y): (UnsafePointer<Float>, UnsafeMutablePointer<UInt8>) = (run.input(0), run.output())
        let values = values(run)
        for i in 0..<scales.count {
          let k = scales.place(i)
          y[i] = format.code(x[i] / values.scale[k] + values.zero[k], saturate: saturate)
        }
      }
    }
    guard type.steps != nil else { throw Failure(.unsupported, "quantisation to \(type) is not supported") }
    let kernels = request.kernels
    let isEmpty = scales.count == 0
    return Step(inputs: scales.layouts(request), outputs: [output], workspace: scales.workspace) { run in
      if isEmpty { return }
      let values = values(run)
      scales.forEachBlock(type) { steps, first, scale in
        kernels.quantize(
          steps, run.input(0) + first, scale: values.scale + scale, zero: values.zero + scale,
          into: run.output(0, as: UInt8.self) + first * type.byteCount, run.parallel)
      }
    }
  }

  private static func planDequantize(_ request: Request) throws -> Step {
    let x = try request.input(0)
    if request.has(2), try request.input(2).type != x.type {
      throw Failure(.invalidModel, "input and zero point differ in type")
    }
    let scales = try Scales(request)
    let output = Operand(.float32, x.shape, layout: scales.layout)
    let type = x.type
    let values = try scales.values(request)
    guard type.steps != nil else {
      let convert = try Conversion.loop(from: type, to: .float32, count: x.shape.count)
      return Step(inputs: scales.layouts(request), outputs: [output], workspace: scales.workspace) { run in
        let y: UnsafeMutablePointer<Float> = run.output()
        convert(UnsafeRawPointer(run.input(0, as: UInt8.self)), y)
        let values = values(run)
        for i in 0..<scales.count {
          let k = scales.place(i)
          y[i] = (y[i] - values.zero[k]) * values.scale[k]
        }
      }
    }
    let kernels = request.kernels
    let isEmpty = scales.count == 0
    return Step(inputs: scales.layouts(request), outputs: [output], workspace: scales.workspace) { run in
      if isEmpty { return }
      let values = values(run)
      scales.forEachBlock(type) { steps, first, scale in
        kernels.dequantize(
          steps, UnsafeRawPointer(run.input(0, as: UInt8.self)) + first * type.byteCount,
          scale: values.scale + scale, zero: values.zero + scale, into: run.output() + first, run.parallel)
      }
    }
  }
}
