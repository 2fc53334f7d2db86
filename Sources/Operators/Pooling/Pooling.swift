import Graph
import Kernels
import Parallel
import Tensors

/// MaxPool, AveragePool and their global forms, over one or two spatial axes.
enum Pool {
  /// The places of maxima are counted through all images.
  static let definitions = pools.map {
    $0.local { $0.wanted.dropFirst().contains(true) ? .channel : [.channel, .image] }
  }

  private static let pools = [
    OperatorDefinition("MaxPool") { try planWindow($0, average: false) }.gradient(PoolGradients.maximum),
    OperatorDefinition("AveragePool") { try planWindow($0, average: true) }.gradient(PoolGradients.average),
    OperatorDefinition("GlobalMaxPool") { try planGlobal($0, .maximum) }.gradient(PoolGradients.globalMaximum),
    OperatorDefinition("GlobalAveragePool") { try planGlobal($0, .mean) }.gradient(PoolGradients.globalAverage),
    OperatorDefinition("GlobalLpPool") { request in
      switch try request.node.int("p", default: 2) {
      case 1: return try planGlobal(request, .l1)
      case 2: return try planGlobal(request, .l2)
      case let p: throw Failure(.unsupported, "p is \(p); supported: 1 and 2")
      }
    }.gradient(PoolGradients.globalNorm),
  ]

  private static func planWindow(_ request: Request, average: Bool) throws -> Step {
    let type = try request.input(0).type
    if !average, type == .uint8 || type == .int8 {
      return try request.planInFloat { try planWindow($0, average: false) }
    }
    if try request.input(0).shape.rank > 4 {
      return try VolumePool.plan(request, average ? .average : .maximum)
    }
    let (pooling, output) = try geometry(request)
    let kernels = request.kernels
    let isEmpty = output.count == 0
    let result = Operand(.float32, output, layout: .channelsLast)
    if !average, request.wanted.count > 1, request.wanted[1] {
      let search = PoolIndices(pooling, isColumnMajor: try request.node.flag("storage_order"))
      return Step(inputs: [.channelsLast], outputs: [result, Operand(.int64, output, layout: .channelsLast)]) { run in
        if !isEmpty { search.run(run.input(0), into: run.output(0), run.output(1)) }
      }
    }
    var step = Step(inputs: [.channelsLast], outputs: [result]) { run in
      if isEmpty { return }
      if average {
        kernels.poolAverage(pooling, run.input(0), into: run.output(), run.parallel)
      } else {
        kernels.poolMaximum(pooling, run.input(0), into: run.output(), run.parallel)
      }
    }
    if output.rank == 4, !isEmpty {
      step.regional = RegionalStep(
        wholeCost: 0, cost: { _ in 0 }, reach: RegionalStep.reach(pooling), residual: nil, workspace: { _ in 0 }
      ) { run in
        kernels.pool(
          pooling, average: average, regions: run.wanted, of: run.input, into: run.output, run.parallel)
      }
    }
    return step
  }

  /// One spatial axis is taken as a picture of height 1.
  static func geometry(_ request: Request) throws -> (Kernels.Pooling, Shape) {
    try request.require(0, .float32)
    let x = try request.input(0).shape
    let node = request.node
    guard x.rank == 3 || x.rank == 4 else {
      throw Failure(.unsupported, "input \(x); supported: rank 3 (one spatial axis) or 4 (two)")
    }
    guard let kernel = try node.ints("kernel_shape"), kernel.count == x.rank - 2 else {
      throw Failure(.invalidModel, "kernel_shape must list \(x.rank - 2) extents for an input \(x)")
    }
    var window = try Window(node, kernel: kernel)
    let spatial = try window.slide(over: Array(x.dimensions[2...]), roundingUp: node.flag("ceil_mode"))
    let isPlane = x.rank == 4
    let last = kernel.count - 1
    let pooling = Kernels.Pooling(
      batch: x[0], inputHeight: isPlane ? x[2] : 1, inputWidth: x[x.rank - 1], channels: x[1],
      outputHeight: isPlane ? spatial[0] : 1, outputWidth: spatial[last],
      kernelHeight: isPlane ? kernel[0] : 1, kernelWidth: kernel[last],
      strideY: isPlane ? window.strides[0] : 1, strideX: window.strides[last],
      padTop: isPlane ? window.padBegin[0] : 0, padLeft: window.padBegin[last],
      padBottom: isPlane ? window.padEnd[0] : 0, padRight: window.padEnd[last],
      dilationY: isPlane ? window.dilations[0] : 1, dilationX: window.dilations[last],
      countIncludePad: try node.flag("count_include_pad"))
    return (pooling, try Shape(checking: [x[0], x[1]] + spatial))
  }

  private static func planGlobal(_ request: Request, _ reduction: Kernels.Reduction) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0).shape
    guard x.rank >= 2, x.dimensions[2...].allSatisfy({ $0 > 0 }) else {
      throw Failure(.invalidModel, "input \(x); expected [N, C, spatial axes...]")
    }
    let layout: Layout = x.rank >= 3 ? .channelsLast : .standard
    let output = Shape(trusted: [x[0], x[1]] + x.dimensions[2...].map { _ in 1 })
    let pixels = x.dimensions[2...].reduce(1, *)
    let kernels = request.kernels
    return Step(inputs: [layout], outputs: [Operand(.float32, output, layout: layout)]) { run in
      kernels.reduce(
        reduction, outer: x[0], axis: pixels, inner: x[1], run.input(0), into: run.output(), run.parallel)
    }
  }
}
