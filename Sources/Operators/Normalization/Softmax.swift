import Graph
import Kernels
import Parallel
import Tensors

/// Softmax, LogSoftmax and Hardmax.
enum Softmax {
  static let definitions = functions.map { $0.local { try $0.locality(alongAxisOr: $0.opset < 13 ? 1 : -1) } }

  private static let functions = [
    OperatorDefinition("Softmax") { request in
      try plan(request) { kernels, split, run in
        kernels.softmax(
          outer: split.outer, axis: split.axis, inner: split.inner, run.input(0), into: run.output(), log: false,
          run.parallel)
      }
    }.gradient(NormGradients.softmax),
    OperatorDefinition("LogSoftmax") { request in
      try plan(request) { kernels, split, run in
        kernels.softmax(
          outer: split.outer, axis: split.axis, inner: split.inner, run.input(0), into: run.output(), log: true,
          run.parallel)
      }
    }.gradient(NormGradients.logSoftmax),
    OperatorDefinition("Hardmax") { try plan($0) { hardmax($1, $2) } }.gradient(.constant),
  ]

  private static func plan(
    _ request: Request, _ body: @escaping @Sendable (Kernels, AxisSplit, Invocation) -> Void
  ) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let rank = x.shape.rank
    let isFlattening = request.opset < 13
    let axis = try request.axis(request.node.int("axis", default: isFlattening ? 1 : -1), rank: max(1, rank))
    let layout: Layout
    let split: AxisSplit
    if rank == 0 {
      (layout, split) = (.standard, AxisSplit([1], axis: 0))
    } else if isFlattening {
      // Before version 13 all axes from `axis` on count as one.
      (layout, split) = (.standard, AxisSplit(x.shape.dimensions, axes: axis..<rank))
    } else {
      (layout, split) = (x.layout, AxisSplit(x.physical, axis: x.layout.physicalAxis(axis, rank: rank)))
    }
    let kernels = request.kernels
    let isEmpty = x.shape.count == 0
    return Step(inputs: [layout], outputs: [Operand(.float32, x.shape, layout: layout)]) { run in
      if !isEmpty { body(kernels, split, run) }
    }
  }

  /// 1 at the first largest element, 0 elsewhere.
  private static func hardmax(_ split: AxisSplit, _ run: Invocation) {
    let x: UnsafePointer<Float> = run.input(0)
    let output: UnsafeMutablePointer<Float> = run.output()
    for outer in 0..<split.outer {
      for inner in 0..<split.inner {
        let base = outer * split.axis * split.inner + inner
        var best = base
        for k in 0..<split.axis {
          let place = base + k * split.inner
          if x[place] > x[best] { best = place }
          output[place] = 0
        }
        output[best] = 1
      }
    }
  }
}
