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

  /// What computing the whole costs, in multiplications of direct sums.
  public let wholeCost: Double
  /// What computing a region of the result costs, likewise.
  public let cost: @Sendable (Region) -> Double
  /// The region of the result that depends on a region of input 0.
  public let reach: @Sendable (Region) -> Region
  /// The input that is added to the result, pixel by pixel.
  public let residual: Int?
  /// Scratch memory for these regions of the result, in bytes.
  public let workspace: @Sendable (RegionList) -> Int
  public let run: @Sendable (Invocation) -> Void
}

extension RegionalStep {
  /// The reach of windows of a convolution or a pool.
  static func reach(_ c: Kernels.Convolution) -> @Sendable (Region) -> Region {
    reach(
      c.rowAxis,
      WindowAxis(
        inputs: c.inputWidth, kernel: c.kernelWidth, dilation: c.dilationX, stride: c.strideX, pad: c.padLeft,
        outputs: c.outputWidth))
  }

  static func reach(_ p: Kernels.Pooling) -> @Sendable (Region) -> Region {
    reach(
      p.rowAxis,
      WindowAxis(
        inputs: p.inputWidth, kernel: p.kernelWidth, dilation: p.dilationX, stride: p.strideX, pad: p.padLeft,
        outputs: p.outputWidth))
  }

  private static func reach(_ rows: WindowAxis, _ columns: WindowAxis) -> @Sendable (Region) -> Region {
    { region in Region(rows: rows.reached(from: region.rows), columns: columns.reached(from: region.columns)) }
  }
}
