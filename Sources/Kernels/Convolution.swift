public import Parallel

extension Kernels {
  /// Geometry of a two-dimensional convolution: input [batch, inputHeight, inputWidth, inputChannels], output
  /// likewise. Padding at the bottom and on the right follows from the output's extents.
  public struct Convolution: Sendable {
    public var batch, inputHeight, inputWidth, inputChannels: Int
    public var outputHeight, outputWidth, outputChannels: Int
    public var kernelHeight, kernelWidth: Int
    public var strideY, strideX, padTop, padLeft, dilationY, dilationX, groups: Int

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
  }

  /// A convolution whose groups, input channels and output channels are equal in number; weights
  /// [kernelHeight * kernelWidth, channels].
  public func convolveDepthwise(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    forEachWindow(c) { pixel, n, top, left in
      for out in 0..<c.outputChannels {
        var sum: Float = 0
        for ky in 0..<c.kernelHeight {
          for kx in 0..<c.kernelWidth {
            let y = top + ky * c.dilationY
            let x = left + kx * c.dilationX
            guard y >= 0, y < c.inputHeight, x >= 0, x < c.inputWidth else { continue }
            sum += input[((n * c.inputHeight + y) * c.inputWidth + x) * c.inputChannels + out]
              * weights[(ky * c.kernelWidth + kx) * c.outputChannels + out]
          }
        }
        let index = pixel * c.outputChannels + out
        output[index] = finish(sum, out, index, epilogue)
      }
    }
  }

  private func forEachWindow(_ c: Convolution, _ body: (_ pixel: Int, _ n: Int, _ top: Int, _ left: Int) -> Void) {
    for n in 0..<c.batch {
      for y in 0..<c.outputHeight {
        for x in 0..<c.outputWidth {
          let pixel = (n * c.outputHeight + y) * c.outputWidth + x
          body(pixel, n, y * c.strideY - c.padTop, x * c.strideX - c.padLeft)
        }
      }
    }
  }
}
