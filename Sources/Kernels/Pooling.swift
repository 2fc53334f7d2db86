import KernelCore
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

  /// The largest element of each window, NaN where there is one; −∞ where a window lies wholly in the padding.
  public func poolMaximum(
    _ p: Pooling, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    pool(p, input, into: output, parallel) { taps, count, _, output in
      table.maximumOfTaps(taps, count, p.channels, output)
    }
  }

  /// The mean of each window; 0 where a window lies wholly in the padding.
  public func poolAverage(
    _ p: Pooling, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    pool(p, input, into: output, parallel) { taps, count, padded, output in
      let divisor = p.countIncludePad ? padded : count
      table.meanOfTaps(taps, count, p.channels, Float(max(1, divisor)), output)
    }
  }

  /// Calls `body` for each window with its taps inside of the picture, and how many lie inside of the padded one.
  private func pool(
    _ p: Pooling, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel,
    _ body: (UnsafePointer<UnsafePointer<Float>>, _ count: Int, _ padded: Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    parallel.forEach(p.batch * p.outputHeight) { rows in
      let capacity = min(p.kernelHeight, p.inputHeight) * min(p.kernelWidth, p.inputWidth)
      withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: capacity) { taps in
        guard let taps = taps.baseAddress else { return }
        for row in rows {
          for x in 0..<p.outputWidth {
            let (count, padded) = p.point(taps, row: row, x: x, input)
            body(taps, count, padded, output + (row * p.outputWidth + x) * p.channels)
          }
        }
      }
    }
  }
}

extension Kernels.Pooling {
  /// Fills in where the taps of one window lie that are inside of the picture; returns their number, and the number
  /// of those inside of the padded picture.
  fileprivate func point(
    _ taps: UnsafeMutablePointer<UnsafePointer<Float>>, row: Int, x: Int, _ input: UnsafePointer<Float>
  ) -> (count: Int, padded: Int) {
    let picture = row / outputHeight * inputHeight
    let top = row % outputHeight * strideY - padTop
    let left = x * strideX - padLeft
    var count = 0
    for ky in Self.inside(top, dilationY, kernelHeight, inputHeight) {
      for kx in Self.inside(left, dilationX, kernelWidth, inputWidth) {
        taps[count] = input + ((picture + top + ky * dilationY) * inputWidth + left + kx * dilationX) * channels
        count += 1
      }
    }
    let padded =
      Self.inside(top + padTop, dilationY, kernelHeight, inputHeight + padTop + padBottom).upperBound
      * Self.inside(left + padLeft, dilationX, kernelWidth, inputWidth + padLeft + padRight).upperBound
    return (count, padded)
  }

  /// The taps of a window along one axis, starting at `first`, that fall into 0..<extent. In constant time: a window
  /// may be much larger than the input.
  public static func inside(_ first: Int, _ dilation: Int, _ kernel: Int, _ extent: Int) -> Range<Int> {
    let lower = first >= 0 ? 0 : min(kernel, (dilation - 1 - first) / dilation)
    let upper = first >= extent ? 0 : min(kernel, (extent - 1 - first) / dilation + 1)
    return lower..<max(lower, upper)
  }
}
