import KernelCore
public import Parallel

extension Kernels {
  /// Whether sums are those of whole maps where only some rows are computed, and as fast. (Not at Winograd's points,
  /// whose patches have several rows; sums of OpenBLAS depend on how many rows there are.)
  public func computesRows(_ packing: Packing) -> Bool { packing.order == .panels || packing.order == .byChannel }

  /// Bytes that `convolve` needs on up to `threads` threads.
  public func convolutionWorkspace(_ c: Convolution, _ packing: Packing, threads: Int) -> Int {
    switch packing.order {
    case .byChannel: return 0
    case .points(let patch): return Winograd(c, patch, self, threads: threads).workspace(threads: threads)
    case .panels, .rows: return Windows(c, packing, self, threads: threads).slotBytes * max(1, threads)
    }
  }

  /// `packed`: weights as `packing`, which is of this convolution and these kernels. The workspace is 64-byte aligned.
  ///
  /// Where `Convolution.patch` says so, by Winograd's algorithm: sums that are zero come out as a rounding error
  /// then, and NaN or infinity reaches all outputs of the patches that read it.
  public func convolve(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ packed: UnsafePointer<Float>, as packing: Packing,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, workspace: UnsafeMutableRawPointer,
    _ parallel: Parallel
  ) {
    switch packing.order {
    case .byChannel: return convolveDepthwise(c, input, packed, into: output, epilogue, parallel)
    case .points(let patch):
      return Winograd(c, patch, self, threads: parallel.threads).run(
        self, .whole(input), packed, into: output, epilogue, workspace: workspace, parallel)
    case .panels, .rows: break
    }
    let columns = packing.columns
    if c.isProduct && packing.numbers == .float32 && packing.order == .panels {
      return multiply(
        rows: c.batch * c.outputHeight * c.outputWidth, input, stride: packing.channels, packed, as: packing,
        into: output, stride: columns, epilogue, workspace: workspace, parallel)
    }
    let windows = Windows(c, packing, self, threads: parallel.threads)
    let pixels = c.outputHeight * c.outputWidth
    parallel.forEachTask(windows.passes * c.groups * windows.grid.count) { task, slot in
      let (rows, columnRange) = windows.grid[task % windows.grid.count]
      let image = task / windows.grid.count / c.groups
      let group = task / windows.grid.count % c.groups
      let first = image * pixels * c.outputChannels + group * columns
      let memory = workspace + slot * windows.slotBytes
      let picture = input + image * c.inputHeight * c.inputWidth * c.inputChannels
      let zeros = windows.point(rows, picture, group: group, memory)
      let product = Product(
        taps: windows.taps, channels: windows.channels, columns: columns, numbers: packing.numbers,
        weights: packed + group * packing.groupCount, output: output + first, stride: c.outputChannels,
        epilogue: Epilogue(
          bias: epilogue.bias.map { $0 + group * columns }, residual: epilogue.residual.map { $0 + first },
          activation: epilogue.activation),
        unit: c.runUnit(packing))
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
