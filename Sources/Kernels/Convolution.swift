extension Kernels {
  /// Geometry of a two-dimensional convolution: input [batch, inputHeight, inputWidth, inputChannels], output
  /// likewise. Padding at the bottom and on the right follows from the output's extents.
  public struct Convolution: Sendable {
    public var batch, inputHeight, inputWidth, inputChannels: Int
    public var outputHeight, outputWidth, outputChannels: Int
    public var kernelHeight, kernelWidth: Int
    public var strideY, strideX, padTop, padLeft, dilationY, dilationX, groups: Int
    /// Of the outputs, only the largest of each window of 2×2 is written: [batch, outputHeight / 2, outputWidth / 2,
    /// outputChannels]. Only where `Kernels.pools` says so.
    public var isPooled = false

    public init(
      batch: Int, inputHeight: Int, inputWidth: Int, inputChannels: Int,
      outputHeight: Int, outputWidth: Int, outputChannels: Int, kernelHeight: Int, kernelWidth: Int,
      strideY: Int = 1, strideX: Int = 1, padTop: Int = 0, padLeft: Int = 0,
      dilationY: Int = 1, dilationX: Int = 1, groups: Int = 1
    ) {
      self.batch = batch
      self.inputHeight = inputHeight
      self.inputWidth = inputWidth
      self.inputChannels = inputChannels
      self.outputHeight = outputHeight
      self.outputWidth = outputWidth
      self.outputChannels = outputChannels
      self.kernelHeight = kernelHeight
      self.kernelWidth = kernelWidth
      self.strideY = strideY
      self.strideX = strideX
      self.padTop = padTop
      self.padLeft = padLeft
      self.dilationY = dilationY
      self.dilationX = dilationX
      self.groups = groups
    }

    /// Of the plain algorithm, for each element of the result.
    public var multiplyAddsPerOutput: Int { kernelHeight * kernelWidth * inputChannels / max(1, groups) }

    /// Whether each channel has a kernel of its own, and makes one channel.
    var isDepthwise: Bool { groups > 1 && groups == inputChannels && groups == outputChannels }
  }
}
