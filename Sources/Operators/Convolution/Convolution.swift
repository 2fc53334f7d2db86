import Graph
import Kernels
import Parallel
import Tensors

/// Conv, alone (ONNX) or with what follows it (our own domain): inputs x, w, b, then the scale, bias, mean and
/// variance of a batch normalisation and a residual, each optional; an activation as an attribute, and `pooled`, where
/// the largest of 2×2 outputs take their place.
public enum Conv {
  static let definitions = [
    OperatorDefinition("Conv", plan: plan).gradient(ConvolutionGradients.conv).local(\.localityOfWeighted),
    OperatorDefinition("Conv", domain: "limpid", plan: plan).local(\.localityOfWeighted),
  ]

  /// Which input the residual is, and how many inputs our own form has.
  public static let residual = 7
  public static let inputCount = 8

  static func plan(_ request: Request) throws -> Step {
    if request.node.domain.isEmpty, request.inputs.count > 3 {
      throw Failure(.invalidModel, "it has \(request.inputs.count) inputs; expected 2 or 3")
    }
    let geometry = try Geometry(request)
    let activation = try Activation.fused(into: request.node)
    let isPooled = try request.node.domain == "limpid" && request.node.flag(pooled)
    let output = Operand(.float32, isPooled ? geometry.halved : geometry.output, layout: .channelsLast)
    if let sum = request.has(residual) ? try request.input(residual) : nil, sum.shape != geometry.output {
      throw Failure(.invalidModel, "the residual has shape \(sum.shape), the result \(geometry.output)")
    }
    if request.has(residual) { try request.require(residual, .float32) }
    var layouts = request.standardLayouts
    layouts[0] = .channelsLast
    if request.has(residual) { layouts[residual] = .channelsLast }

    var c = geometry.convolution
    c.isPooled = isPooled
    let kernels = request.kernels
    let folded = try FoldedNormalization(request, outputs: c.outputChannels)
    let packing = kernels.packing(c, known: try request.input(1).constant != nil)
    guard !isPooled || kernels.pools(packing) && output.shape.rank == 4 && !request.has(residual) else {
      throw Failure(.invalidModel, "a convolution of \(geometry.output) cannot be pooled")
    }
    // Weights that are computed from what is fed are packed in each run.
    let packed = try request.input(1).constant.map { w in
      try request.weights.packed(
        [w] + folded.sources, as: "Conv \(packing) \(folded.key)", byteCount: packing.byteCount
      ) {
        let storage = try Storage(byteCount: packing.byteCount)
        kernels.pack(w.data, as: packing, scale: folded.scale, into: storage.base, request.parallel)
        return storage
      }
    }
    let bias = folded.bias
    let biasIsFed = bias == nil && request.has(2)
    let hasResidual = request.has(residual)
    let fedSize = packed == nil ? packing.byteCount.roundedUp(to: 64) : 0
    let scratch = kernels.convolutionWorkspace(c, packing, threads: request.parallel.threads)
    let isEmpty = geometry.output.count == 0
    let taken: Set<Int> = packed == nil ? [] : biasIsFed ? [1] : [1, 2, 3, 4, 5, 6]
    @Sendable func convolve(_ c: Kernels.Convolution, _ run: Invocation) {
      let w = UnsafeRawPointer(packed?.base ?? run.workspace).assumingMemoryBound(to: Float.self)
      let epilogue = Kernels.Epilogue(
        bias: bias.map { UnsafePointer($0.base.assumingMemoryBound(to: Float.self)) }
          ?? (biasIsFed ? run.input(2) : nil),
        residual: hasResidual ? run.input(residual) : nil, activation: activation)
      kernels.convolve(
        c, run.input(0), w, as: packing, into: run.output(), epilogue, workspace: run.workspace + fedSize, run.parallel)
    }
    var step = Step(
      inputs: layouts, outputs: [output], workspace: fedSize + scratch, taken: taken,
      multiplyAdds: geometry.output.count * c.multiplyAddsPerOutput
    ) { [c] run in
      if isEmpty { return }
      if packed == nil { kernels.pack(run.input(1, as: UInt8.self), as: packing, into: run.workspace, run.parallel) }
      convolve(c, run)
    }
    if packed != nil, !isPooled, !isEmpty, output.shape.rank == 4, kernels.computesRows(packing) {
      step.rows = RowStep(
        images: c.batch, c.rowAxis, outputFloats: c.outputWidth * c.outputChannels,
        inputFloats: [0: c.inputWidth * c.inputChannels, residual: c.outputWidth * c.outputChannels],
        workspace: { [c] in kernels.convolutionWorkspace(c.rows(0..<$0), packing, threads: 1) }
      ) { [c] in convolve(c.rows($1), $0) }
    }
    if let packed, !biasIsFed, !isPooled, output.shape.rank == 4 {
      step.regional = regional(
        c, kernels, packed, packing, bias, activation, hasResidual: hasResidual, request.parallel)
    }
    return step
  }

  private static func regional(
    _ c: Kernels.Convolution, _ kernels: Kernels, _ packed: Storage, _ packing: Packing, _ bias: Storage?,
    _ activation: Kernels.Unary?, hasResidual: Bool, _ parallel: Parallel
  ) -> RegionalStep {
    let wholeCost =
      kernels.relativeCost(c) * Double(c.batch * c.outputHeight * c.outputWidth * c.outputChannels)
      * Double(c.multiplyAddsPerOutput)
    return RegionalStep(
      wholeCost: wholeCost, cost: { wholeCost * kernels.regionShare(c, packing, $0) },
      reach: RegionalStep.reach(c), residual: hasResidual ? residual : nil,
      workspace: { kernels.regionWorkspace(c, packing, $0, threads: parallel.threads) }
    ) { run in
      let w = UnsafePointer(packed.base.assumingMemoryBound(to: Float.self))
      let epilogue = Kernels.Epilogue(
        bias: bias.map { UnsafePointer($0.base.assumingMemoryBound(to: Float.self)) },
        residual: hasResidual ? UnsafePointer(run.output) : nil, activation: activation)
      kernels.convolve(
        c, regions: run.wanted, of: run.input, w, as: packing, into: run.output, epilogue, workspace: run.workspace,
        run.parallel)
    }
  }

  /// Shapes of a convolution over one or two spatial axes; one axis is taken as a picture of height 1.
  struct Geometry {
    let convolution: Kernels.Convolution
    let output: Shape
    /// `output`, two by two spatial elements as one.
    var halved: Shape { Shape(trusted: output.dimensions[..<2] + output.dimensions[2...].map { $0 / 2 }) }

    init(_ request: Request) throws {
      try request.require(0, .float32)
      try request.require(1, .float32)
      let x = try request.input(0).shape
      let w = try request.input(1).shape
      guard x.rank == 3 || x.rank == 4, w.rank == x.rank else {
        throw Failure(
          .unsupported, "input \(x) and weights \(w); supported: both of rank 3 (one spatial axis) or 4 (two)")
      }
      let groups = try request.node.int("group", default: 1)
      guard groups >= 1, groups <= x[1], x[1] % groups == 0, w[0] % groups == 0, w[1] == x[1] / groups else {
        throw Failure(
          .invalidModel, "weights \(w) in \(groups) groups do not fit an input \(x) with \(x[1]) channels")
      }
      let kernel = Array(w.dimensions[2...])
      if let declared = try request.node.ints("kernel_shape"), declared != kernel {
        throw Failure(.invalidModel, "kernel_shape is \(declared), but the weights have shape \(w)")
      }
      var window = try Window(request.node, kernel: kernel)
      let spatial = try window.slide(over: Array(x.dimensions[2...]))
      output = try Shape(checking: [x[0], w[0]] + spatial)
      let isPlane = x.rank == 4
      let last = kernel.count - 1
      convolution = Kernels.Convolution(
        batch: x[0], inputHeight: isPlane ? x[2] : 1, inputWidth: x[x.rank - 1], inputChannels: x[1],
        outputHeight: isPlane ? spatial[0] : 1, outputWidth: spatial[last], outputChannels: w[0],
        kernelHeight: isPlane ? kernel[0] : 1, kernelWidth: kernel[last],
        strideY: isPlane ? window.strides[0] : 1, strideX: window.strides[last],
        padTop: isPlane ? window.padBegin[0] : 0, padLeft: window.padBegin[last],
        dilationY: isPlane ? window.dilations[0] : 1, dilationX: window.dilations[last], groups: groups)
    }
  }
}
