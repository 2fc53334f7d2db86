import Graph
import Kernels
import Parallel
import Tensors

/// Gradients of pools.
enum PoolGradients {
  static let definitions = [OperatorDefinition("MaxPoolGradient", domain: "limpid", plan: planMaximum).local(.image)]

  /// To the first largest element of each window, in the order of the axes.
  static let maximum = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    let x = try e.input(node, 0)
    return [try e("MaxPoolGradient", x, e.output(node), dy, domain: "limpid", attributes: node.attributes)]
  }

  /// An average is one along each axis in turn; what it divides by is the product of the axes' counts.
  static let average = GradientRule.unary { e, node, dy in
    try spread(&e, node, dy) { covered in 1 / Double(max(1, covered)) }
  }

  /// `value`, which has an element for each window, added to what the windows cover, times a weight for each axis that
  /// depends on how much of the window counts.
  private static func spread(
    _ e: inout Emitter, _ node: Node, _ value: ValueID, _ weight: (_ covered: Int) -> Double
  ) throws -> ValueID {
    let shape = try e.shape(e.input(node, 0))
    guard let kernel = try node.ints("kernel_shape"), kernel.count == shape.count - 2 else {
      throw Failure(.invalidModel, "kernel_shape must list \(shape.count - 2) extents")
    }
    var window = try Window(node, kernel: kernel)
    let counts = try window.slide(over: Array(shape[2...]), roundingUp: node.flag("ceil_mode"))
    let countsPadding = try node.flag("count_include_pad")
    var filters: [Int: [ResizeFilter]] = [:]
    for axis in kernel.indices {
      let extent = shape[2 + axis]
      let (dilation, length) = (window.dilations[axis], kernel[axis])
      try AxisFilters.check(taps: counts[axis], of: min(length, extent))
      filters[2 + axis] = (0..<counts[axis]).map { i in
        let first = i * window.strides[axis] - window.padBegin[axis]
        let inside = Kernels.Pooling.inside(first, dilation, length, extent)
        let room = extent + window.padEnd[axis] - first
        let share = weight(countsPadding ? min(length, (room + dilation - 1) / dilation) : inside.count)
        return ResizeFilter(inside.map { (first + $0 * dilation, share) })
      }
    }
    return try e.transposing(filters, value, to: shape)
  }

  static let globalAverage = GradientRule.unary { e, node, dy in
    let shape = try e.shape(e.input(node, 0))
    return try e.expand(e.scaled(dy, by: 1 / Float(max(1, shape[2...].reduce(1, *)))), shape)
  }

  /// Equal maxima share.
  static let globalMaximum = GradientRule.unary { e, node, dy in
    let x = try e.input(node, 0)
    let mask = try e.pick(e("Equal", x, e.output(node)), e.constant(Float(1)), else: e.constant(Float(0)))
    let axes = Array(try e.shape(x).indices.dropFirst(2))
    return try e.multiply(dy, e.divide(mask, e.reduce("ReduceSum", mask, axes: axes)))
  }

  /// (Σ|x|^p)^(1/p): sign(x)·|x|^(p−1)·dy/y^(p−1), where y is 0 nothing.
  static let globalNorm = norm { _, _, value in value }
  static let norm = norm { e, node, value in try spread(&e, node, value) { _ in 1 } }

  private static func norm(
    _ spread: @escaping @Sendable (inout Emitter, Node, ValueID) throws -> ValueID
  ) -> GradientRule {
    .unary { e, node, dy in
      let (x, y) = (try e.input(node, 0), try e.output(node))
      let p = Float(try node.int("p", default: 2))
      if p == 1 { return try e.multiply(spread(&e, node, dy), e("Sign", x)) }
      let zero = try e.constant(Float(0))
      let divisor = try p == 2 ? y : e("Pow", y, e.constant(p - 1))
      let quotient = try e.pick(e("Greater", divisor, zero), e.divide(dy, divisor), else: zero)
      let power = try p == 2 ? x : e.multiply(e("Sign", x), e("Pow", e("Abs", x), e.constant(p - 1)))
      return try e.multiply(spread(&e, node, quotient), power)
    }
  }

  // MARK: MaxPoolGradient

  /// Inputs: x, the maxima y, their gradient; attributes as of MaxPool.
  private static func planMaximum(_ request: Request) throws -> Step {
    for i in 0..<3 { try request.require(i, .float32) }
    let x = try request.input(0).shape
    if x.rank > 4 { return try VolumePool.planMaximumGradient(request) }
    let (pooling, output) = try Pool.geometry(request)
    guard try request.input(1).shape == output, try request.input(2).shape == output else {
      throw Failure(.internal, "maxima and gradient must have the shape \(output)")
    }
    let isEmpty = x.count == 0 || output.count == 0
    return Step(
      inputs: [.channelsLast, .channelsLast, .channelsLast], outputs: [Operand(.float32, x, layout: .channelsLast)]
    ) { run in
      run.output(0, as: Float.self).update(repeating: 0, count: x.count)
      if isEmpty { return }
      // Windows of one image overlap, so an image is one thread's.
      run.parallel.forEach(pooling.batch) { images in
        for n in images { pooling.scatterMaxima(n, run.input(0), run.input(1), run.input(2), into: run.output()) }
      }
    }
  }
}

extension Kernels.Pooling {
  /// Adds the gradient of each window of image `n` to its first largest element.
  fileprivate func scatterMaxima(
    _ n: Int, _ x: UnsafePointer<Float>, _ maxima: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>,
    into result: UnsafeMutablePointer<Float>
  ) {
    let columnTable = (0..<outputWidth).map(columns)
    withUnsafeTemporaryAllocation(of: Bool.self, capacity: channels) { isDone in
      for row in 0..<outputHeight {
        let lines = rows(row)
        for column in 0..<outputWidth {
          isDone.update(repeating: false)
          let place = ((n * outputHeight + row) * outputWidth + column) * channels
          for line in lines {
            for tap in columnTable[column] {
              let source = ((n * inputHeight + line) * inputWidth + tap) * channels
              for c in 0..<channels where x[source + c] == maxima[place + c] && !isDone[c] {
                isDone[c] = true
                result[source + c] += gradient[place + c]
              }
            }
          }
        }
      }
    }
  }
}
