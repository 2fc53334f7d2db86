import Glibc
import Graph
import Kernels
import Parallel
import Tensors

/// LpPool: the p-norm of each window.
enum LpPool {
  static let definitions = [OperatorDefinition("LpPool", plan: plan).gradient(PoolGradients.norm).local(.image)]

  private static func plan(_ request: Request) throws -> Step {
    let p = Float(try request.node.int("p", default: 2))
    guard p >= 1 else { throw Failure(.invalidModel, "p is \(p); expected a positive number") }
    if try request.input(0).shape.rank > 4 { return try VolumePool.plan(request, .norm(p)) }
    let (pooling, output) = try Pool.geometry(request)
    return Step(inputs: [.channelsLast], outputs: [Operand(.float32, output, layout: .channelsLast)]) { run in
      if output.count == 0 { return }
      let pixels = pooling.outputHeight * pooling.outputWidth
      run.parallel.forEach(pooling.batch * pixels) { range in
        for pixel in range { norm(pooling, p, pixel / pixels, pixel % pixels, run.input(0), run.output()) }
      }
    }
  }

  private static func norm(
    _ pooling: Kernels.Pooling, _ p: Float, _ n: Int, _ pixel: Int, _ x: UnsafePointer<Float>,
    _ output: UnsafeMutablePointer<Float>
  ) {
    let channels = pooling.channels
    let target = output + (n * pooling.outputHeight * pooling.outputWidth + pixel) * channels
    target.update(repeating: 0, count: channels)
    for row in pooling.rows(pixel / pooling.outputWidth) {
      for column in pooling.columns(pixel % pooling.outputWidth) {
        let source = x + ((n * pooling.inputHeight + row) * pooling.inputWidth + column) * channels
        for c in 0..<channels { target[c] += p == 2 ? source[c] * source[c] : powf(abs(source[c]), p) }
      }
    }
    for c in 0..<channels { target[c] = p == 2 ? target[c].squareRoot() : powf(target[c], 1 / p) }
  }
}
