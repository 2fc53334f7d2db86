public import Kernels
public import Parallel

/// How a step over windows computes regions of its result, where the maps of the image itself are known: for many forms
/// of one image that differ from it in a small part.
public struct RegionalStep: Sendable {
  /// Where one run finds its operands.
  public struct Invocation {
    public let input: PatchedMaps
    public let wanted: RegionList
    /// [pixels of `wanted`, channels]; where the step has a residual, it lies there.
    public let output: UnsafeMutablePointer<Float>
    public let workspace: UnsafeMutableRawPointer
    public let parallel: Parallel

    public init(
      input: PatchedMaps, wanted: RegionList, output: UnsafeMutablePointer<Float>,
      workspace: UnsafeMutableRawPointer, parallel: Parallel
    ) {
      (self.input, self.wanted, self.output) = (input, wanted, output)
      (self.workspace, self.parallel) = (workspace, parallel)
    }
  }

  /// What computing the whole costs in other runs, in multiplications of direct sums.
  public let wholeCost: Int
  /// The region of the result that depends on a region of input 0.
  public let reach: @Sendable (Region) -> Region
  /// The input that is added to the result, pixel by pixel.
  public let residual: Int?
  /// Scratch memory for so many pixels, in bytes.
  public let workspace: @Sendable (_ pixels: Int) -> Int
  public let run: @Sendable (Invocation) -> Void
}

extension RegionalStep {
  /// The reach of windows of a convolution or a pool.
  static func reach(
    _ c: Kernels.Convolution
  ) -> @Sendable (Region) -> Region {
    { region in
      Region(
        rows: Region.reached(
          region.rows, extent: (c.kernelHeight - 1) * c.dilationY + 1, stride: c.strideY, pad: c.padTop,
          outputs: c.outputHeight),
        columns: Region.reached(
          region.columns, extent: (c.kernelWidth - 1) * c.dilationX + 1, stride: c.strideX, pad: c.padLeft,
          outputs: c.outputWidth))
    }
  }

  static func reach(_ p: Kernels.Pooling) -> @Sendable (Region) -> Region {
    { region in
      Region(
        rows: Region.reached(
          region.rows, extent: (p.kernelHeight - 1) * p.dilationY + 1, stride: p.strideY, pad: p.padTop,
          outputs: p.outputHeight),
        columns: Region.reached(
          region.columns, extent: (p.kernelWidth - 1) * p.dilationX + 1, stride: p.strideX, pad: p.padLeft,
          outputs: p.outputWidth))
    }
  }
}
