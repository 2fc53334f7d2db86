import Glibc
import Graph
import Kernels
import Parallel
import Tensors

/// MaxPool, AveragePool and LpPool over three and more spatial axes, in ONNX order of axes. Classifiers of pictures
/// have no use for it, so it is right rather than fast.
struct VolumePool: Sendable {
  enum Rule: Sendable {
    case maximum, average
    case norm(Float)
  }

  private let rule: Rule
  private let window: Window
  private let countsPadding: Bool
  /// The spatial extents.
  private let input, output: [Int]
  /// Of the input.
  private let strides: [Int]

  static func plan(_ request: Request, _ rule: Rule) throws -> Step {
    guard request.wanted.count < 2 || !request.wanted[1] else {
      throw Failure(
        .unsupported, "the places of the maxima of an input \(try request.input(0).shape) are not supported")
    }
    let (pool, shape) = try geometry(request, rule)
    let planes = shape[0] * shape[1]
    return Step(inputs: [.standard], outputs: [Operand(.float32, shape)]) { run in
      if shape.count == 0 { return }
      let (source, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
      let (size, pixels) = (pool.input.reduce(1, *), shape.count / planes)
      run.parallel.forEach(shape.count) { range in
        for i in range { target[i] = pool.value(source + i / pixels * size, i % pixels) }
      }
    }
  }

  /// Inputs: x, the maxima y, their gradient. It goes to the first largest element of each window.
  static func planMaximumGradient(_ request: Request) throws -> Step {
    let (pool, output) = try geometry(request, .maximum)
    let x = try request.input(0).shape
    guard try request.input(1).shape == output, try request.input(2).shape == output else {
      throw Failure(.internal, "maxima and gradient must have the shape \(output)")
    }
    return Step(inputs: request.standardLayouts, outputs: [Operand(.float32, x)]) { run in
      let (source, maxima): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(0), run.input(1))
      let (gradient, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(2), run.output())
      target.update(repeating: 0, count: x.count)
      if output.count == 0 { return }
      let size = pool.input.reduce(1, *)
      let pixels = output.count / (x[0] * x[1])
      // Windows of one plane overlap, so a plane is one thread's.
      run.parallel.forEach(x[0] * x[1]) { planes in
        for i in planes.lowerBound * pixels..<planes.upperBound * pixels {
          let plane = i / pixels * size
          let place = pool.first(equal: maxima[i], source + plane, pool.window(at: i % pixels).places, 0, 0)
          if let place { target[plane + place] += gradient[i] }
        }
      }
    }
  }

  private static func geometry(_ request: Request, _ rule: Rule) throws -> (VolumePool, Shape) {
    try request.require(0, .float32)
    let x = try request.input(0).shape
    guard let kernel = try request.node.ints("kernel_shape"), kernel.count == x.rank - 2 else {
      throw Failure(.invalidModel, "kernel_shape must list \(x.rank - 2) extents for an input \(x)")
    }
    var window = try Window(request.node, kernel: kernel)
    let spatial = try window.slide(over: Array(x.dimensions[2...]), roundingUp: request.node.flag("ceil_mode"))
    let pool = VolumePool(
      rule: rule, window: window, countsPadding: try request.node.flag("count_include_pad"),
      input: Array(x.dimensions[2...]), output: spatial, strides: Array(x.strides[2...]))
    return (pool, try Shape(checking: [x[0], x[1]] + spatial))
  }

  /// The value at output place `pixel` of one plane.
  private func value(_ plane: UnsafePointer<Float>, _ pixel: Int) -> Float {
    let (places, covered) = window(at: pixel)
    switch rule {
    case .maximum: return fold(plane, places, 0, 0, -.infinity) { max($0, $1) }
    case .average: return fold(plane, places, 0, 0, 0) { $0 + $1 } / Float(covered)
    case .norm(let p): return powf(fold(plane, places, 0, 0, 0) { $0 + powf(abs($1), p) }, 1 / p)
    }
  }

  /// The indices along each axis that the window of output place `pixel` covers, and how many places count.
  private func window(at pixel: Int) -> (places: [[Int]], covered: Double) {
    var rest = pixel
    // As a real number: many axes of long windows have more places than an integer can count.
    var covered = 1.0
    var places = [[Int]](repeating: [], count: input.count)
    for axis in input.indices.reversed() {
      let first = rest % output[axis] * window.strides[axis] - window.padBegin[axis]
      rest /= output[axis]
      let (dilation, length) = (window.dilations[axis], window.kernel[axis])
      places[axis] = Kernels.Pooling.inside(first, dilation, length, input[axis]).map { first + $0 * dilation }
      let room = input[axis] + window.padEnd[axis] - first
      covered *= Double(countsPadding ? min(length, (room + dilation - 1) / dilation) : places[axis].count)
    }
    return (places, covered)
  }

  /// Where the first element that equals `value` lies among all combinations of `places`.
  private func first(
    equal value: Float, _ plane: UnsafePointer<Float>, _ places: [[Int]], _ axis: Int, _ offset: Int
  ) -> Int? {
    guard axis < places.count else { return plane[offset] == value ? offset : nil }
    for place in places[axis] {
      if let found = first(equal: value, plane, places, axis + 1, offset + place * strides[axis]) { return found }
    }
    return nil
  }

  /// Joins the elements at all combinations of `places`, those of axes before `axis` being `offset` already.
  private func fold(
    _ plane: UnsafePointer<Float>, _ places: [[Int]], _ axis: Int, _ offset: Int, _ start: Float,
    _ join: (Float, Float) -> Float
  ) -> Float {
    guard axis < places.count else { return join(start, plane[offset]) }
    return places[axis].reduce(start) {
      fold(plane, places, axis + 1, offset + $1 * strides[axis], $0, join)
    }
  }
}
