public import Parallel

extension Kernels {
  /// Geometry of a pooling over windows: input [batch, inputHeight, inputWidth, channels], output likewise.
  public struct Pooling: Sendable {
    public var batch, inputHeight, inputWidth, channels, outputHeight, outputWidth: Int
    public var kernelHeight, kernelWidth, strideY, strideX: Int
    public var padTop, padLeft, padBottom, padRight, dilationY, dilationX: Int
    /// Averages divide by the taps inside of the padded picture rather than by those inside of the picture.
    public var countIncludePad: Bool

    public init(
      batch: Int, inputHeight: Int, inputWidth: Int, channels: Int, outputHeight: Int, outputWidth: Int,
      kernelHeight: Int, kernelWidth: Int, strideY: Int = 1, strideX: Int = 1,
      padTop: Int = 0, padLeft: Int = 0, padBottom: Int = 0, padRight: Int = 0,
      dilationY: Int = 1, dilationX: Int = 1, countIncludePad: Bool = false
    ) {
      self.batch = batch
      self.inputHeight = inputHeight
      self.inputWidth = inputWidth
      self.channels = channels
      self.outputHeight = outputHeight
      self.outputWidth = outputWidth
      self.kernelHeight = kernelHeight
      self.kernelWidth = kernelWidth
      self.strideY = strideY
      self.strideX = strideX
      self.padTop = padTop
      self.padLeft = padLeft
      self.padBottom = padBottom
      self.padRight = padRight
      self.dilationY = dilationY
      self.dilationX = dilationX
      self.countIncludePad = countIncludePad
    }
  }

  /// The largest element of each window; −∞ where a window lies wholly in the padding.
  public func poolMaximum(
    _ p: Pooling, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    pool(p, input, into: output, initial: -.infinity, { $1 > $0 || $1.isNaN ? $1 : $0 }, { x, _ in x })
  }

  /// The mean of each window; 0 where a window lies wholly in the padding.
  public func poolAverage(
    _ p: Pooling, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    pool(p, input, into: output, initial: 0, { $0 + $1 }, { x, count in count == 0 ? 0 : x / Float(count) })
  }

  private func pool(
    _ p: Pooling, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, initial: Float,
    _ combine: (Float, Float) -> Float, _ finish: (Float, Int) -> Float
  ) {
    for n in 0..<p.batch {
      for y in 0..<p.outputHeight {
        for x in 0..<p.outputWidth {
          for c in 0..<p.channels {
            var sum = initial
            var count = 0
            for ky in 0..<p.kernelHeight {
              for kx in 0..<p.kernelWidth {
                let iy = y * p.strideY - p.padTop + ky * p.dilationY
                let ix = x * p.strideX - p.padLeft + kx * p.dilationX
                let isInside = iy >= 0 && iy < p.inputHeight && ix >= 0 && ix < p.inputWidth
                if isInside || p.countIncludePad && iy < p.inputHeight + p.padBottom && ix < p.inputWidth + p.padRight {
                  count += 1
                }
                if isInside { sum = combine(sum, input[((n * p.inputHeight + iy) * p.inputWidth + ix) * p.channels + c]) }
              }
            }
            output[((n * p.outputHeight + y) * p.outputWidth + x) * p.channels + c] = finish(sum, count)
          }
        }
      }
    }
  }
}
