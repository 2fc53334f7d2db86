import Glibc
import Graph
import Kernels
import Parallel
import Tensors

/// LpNormalization, MeanVarianceNormalization and LRN.
enum Norms {
  static let definitions = [
    OperatorDefinition("LpNormalization", plan: planLength).gradient(NormGradients.length)
      .local { try $0.locality(alongAxisOr: -1) },
    OperatorDefinition("MeanVarianceNormalization", plan: planVariance).gradient(NormalizationGradients.meanVariance)
      .local { try $0.locality(along: $0.axes($0.node.ints("axes") ?? [0, 2, 3], rank: $0.input(0).shape.rank)) },
    OperatorDefinition("LRN", plan: planLocal).gradient(NormGradients.local).local(.image),
  ]

  private static func planLength(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let axis = try request.axis(request.node.int("axis", default: -1), rank: x.shape.rank)
    let p = try request.node.int("p", default: 2)
    guard p == 1 || p == 2 else { throw Failure(.invalidModel, "p is \(p); expected 1 or 2") }
    let split = AxisSplit(x.physical, axis: x.layout.physicalAxis(axis, rank: x.shape.rank))
    let kernels = request.kernels
    let norms = split.outer * split.inner
    return Step(
      inputs: [x.layout], outputs: [Operand(.float32, x.shape, layout: x.layout)], workspace: 4 * norms,
      overwritable: [0]
    ) { run in
      if x.shape.count == 0 { return }
      let lengths = run.workspace.assumingMemoryBound(to: Float.self)
      kernels.reduce(
        p == 1 ? .l1 : .l2, outer: split.outer, axis: split.axis, inner: split.inner, run.input(0), into: lengths,
        run.parallel)
      // A vector of zeros stays one.
      for i in 0..<norms where lengths[i] == 0 { lengths[i] = 1 }
      for outer in 0..<split.outer {
        let first = outer * split.axis * split.inner
        let isRow = split.inner == 1
        kernels.binary(
          .divide, rows: isRow ? 1 : split.axis, columns: isRow ? split.axis : split.inner, run.input(0) + first,
          aRowStride: split.inner, aColumnStride: 1, lengths + outer * split.inner, bRowStride: 0,
          bColumnStride: isRow ? 0 : 1, into: run.output() + first, run.parallel)
      }
    }
  }

  /// `(x - mean) / (deviation + 1e-9)` over the given axes.
  private static func planVariance(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0).shape
    let axes = try request.axes(request.node.ints("axes") ?? [0, 2, 3], rank: x.rank)
    let kept = (0..<x.rank).filter { !axes.contains($0) }
    let permutation = kept + axes
    let inverse = (0..<x.rank).map { axis in permutation.firstIndex(of: axis) ?? 0 }
    let rows = kept.reduce(1) { $0 * x[$1] }
    let columns = axes.reduce(1) { $0 * x[$1] }
    let permuted = permutation.map { x[$0] }
    let kernels = request.kernels
    return Step(inputs: [.standard], outputs: [Operand(.float32, x)], workspace: 4 * x.count) { run in
      if x.count == 0 { return }
      let values = run.workspace.assumingMemoryBound(to: Float.self)
      kernels.permute(
        run.input(0, as: UInt8.self), shape: x.dimensions, permutation: permutation, elementSize: 4, into: values,
        run.parallel)
      kernels.normalizeRows(
        rows: rows, columns: columns, values, scale: nil, shift: nil, epsilon: 1e-18, subtractMean: true,
        into: values, run.parallel)
      kernels.permute(
        values, shape: permuted, permutation: inverse, elementSize: 4, into: run.output(0, as: UInt8.self),
        run.parallel)
    }
  }

  /// Local response normalisation (Krizhevsky et al., 2012, section 3.3): each element is divided by a power of the
  /// sum of squares over its neighbours among the channels.
  private static func planLocal(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let node = request.node
    guard x.shape.rank >= 3, let size = try node.int("size"), size >= 1, size <= 1 << 20 else {
      throw Failure(.invalidModel, "input \(x.shape); expected [N, C, spatial axes...] and a positive size")
    }
    let alpha = try node.float("alpha", default: 1e-4) / Float(size)
    let beta = try node.float("beta", default: 0.75)
    let bias = try node.float("bias", default: 1)
    let channels = x.shape[1]
    let (before, after) = ((size - 1) / 2, size / 2)
    return Step(inputs: [.channelsLast], outputs: [Operand(.float32, x.shape, layout: .channelsLast)]) { run in
      guard x.shape.count > 0 else { return }
      let (source, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
      run.parallel.forEach(x.shape.count / channels, grain: max(1, 4096 / channels)) { pixels in
        for pixel in pixels {
          let row = source + pixel * channels
          for c in 0..<channels {
            var sum: Float = 0
            for k in max(0, c - before)..<min(channels, c + after + 1) { sum += row[k] * row[k] }
            target[pixel * channels + c] = row[c] / powf(bias + alpha * sum, beta)
          }
        }
      }
    }
  }
}
