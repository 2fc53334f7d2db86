public import Parallel

extension Kernels {
  /// Bytes that `convolve` needs on up to `threads` threads.
  public func convolutionWorkspace(_ c: Convolution, threads: Int) -> Int {
    if let winograd = Winograd(c, self) { return winograd.workspace(threads: threads) }
    return Windows(c, self, threads: threads).slotBytes * max(1, threads)
  }

  /// Weights from `packWeights`. The workspace is 64-byte aligned.
  ///
  /// Where `Convolution.patchHeight` says so, by Winograd's algorithm: sums that are zero come out as a rounding error
  /// then, and NaN or infinity reaches all outputs of the patches that read it.
  public func convolve(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ packed: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, workspace: UnsafeMutableRawPointer,
    _ parallel: Parallel
  ) {
    if let winograd = Winograd(c, self) {
      return winograd.run(self, input, packed, into: output, epilogue, workspace: workspace, parallel)
    }
    let columns = c.outputChannels / c.groups
    let depth = c.kernelHeight * c.kernelWidth * c.inputChannels / c.groups
    if c.isProduct && variant != .openblas {
      return multiply(
        rows: c.batch * c.outputHeight * c.outputWidth, depth: depth, columns: columns, input, stride: depth,
        packed, into: output, stride: columns, epilogue, parallel)
    }
    let windows = Windows(c, self, threads: parallel.threads)
    let groupLength = packedCount(depth: depth, columns: columns)
    let pixels = c.outputHeight * c.outputWidth
    forEachTask(windows.passes * c.groups * windows.grid.count, parallel) { task, slot in
      let (rows, columnRange) = windows.grid[task % windows.grid.count]
      let image = task / windows.grid.count / c.groups
      let group = task / windows.grid.count % c.groups
      let first = image * pixels * c.outputChannels + group * columns
      let memory = workspace + slot * windows.slotBytes
      let picture = input + image * c.inputHeight * c.inputWidth * c.inputChannels
      let zeros = windows.point(rows, picture, group: group, memory)
      let product = Product(
        taps: windows.taps, channels: windows.channels, columns: columns, weights: packed + group * groupLength,
        output: output + first, stride: c.outputChannels,
        epilogue: Epilogue(
          bias: epilogue.bias.map { $0 + group * columns }, residual: epilogue.residual.map { $0 + first },
          activation: epilogue.activation))
      compute(product, rows, columnRange, Scratch(memory, rows: windows.grid.blockRows), zeros: zeros)
    }
  }
}

extension Kernels.Convolution {
  /// Whether this multiplies the input, as it lies, by one matrix.
  var isProduct: Bool {
    kernelHeight == 1 && kernelWidth == 1 && strideY == 1 && strideX == 1 && groups == 1
      && padTop == 0 && padLeft == 0 && outputHeight == inputHeight && outputWidth == inputWidth
  }
}
