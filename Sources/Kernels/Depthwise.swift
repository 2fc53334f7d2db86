import KernelCore
public import Parallel

extension Kernels {
  /// A convolution whose groups, input channels and output channels are equal in number; weights
  /// [kernelHeight * kernelWidth, channels].
  public func convolveDepthwise(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    let clamp = epilogue.activation?.clampRange
    let channels = c.outputChannels
    let taps = c.kernelHeight * c.kernelWidth
    let pointerBytes = MemoryLayout<UnsafePointer<Float>>.stride * taps * 4
    parallel.forEach(c.batch * c.outputHeight) { rows in
      withUnsafeTemporaryAllocation(byteCount: pointerBytes + 4 * channels, alignment: 64) { memory in
        guard let base = memory.baseAddress else { return }
        let pointers = base.assumingMemoryBound(to: UnsafePointer<Float>.self)
        let zeros = (base + pointerBytes).assumingMemoryBound(to: Float.self)
        zeros.update(repeating: 0, count: channels)
        for row in rows {
          for x in stride(from: 0, to: c.outputWidth, by: 4) {
            c.point(pointers, row: row, firstX: x, input, zeros)
            let place = (row * c.outputWidth + x) * channels
            table.depthwise(
              DepthwiseStrip(
                pointers: pointers, pixels: min(4, c.outputWidth - x), taps: taps, channels: channels,
                weights: weights, bias: epilogue.bias, residual: epilogue.residual.map { $0 + place },
                output: output + place, low: clamp?.lowerBound ?? -.infinity, high: clamp?.upperBound ?? .infinity))
          }
          let first = row * c.outputWidth
          applyUnclamped(epilogue, output, stride: channels, first..<first + c.outputWidth, 0..<channels)
        }
      }
    }
  }
}

extension Kernels.Convolution {
  /// Fills in [taps, 4]: where four neighbouring pixels of one output row (rows of all pictures counted) read.
  fileprivate func point(
    _ pointers: UnsafeMutablePointer<UnsafePointer<Float>>, row: Int, firstX: Int, _ input: UnsafePointer<Float>,
    _ zeros: UnsafePointer<Float>
  ) {
    let picture = input + row / outputHeight * inputHeight * inputWidth * inputChannels
    let top = row % outputHeight * strideY - padTop
    let step = strideX * inputChannels
    var next = pointers
    for ky in 0..<kernelHeight {
      let y = top + ky * dilationY
      let isRow = y >= 0 && y < inputHeight
      for kx in 0..<kernelWidth {
        let x = firstX * strideX - padLeft + kx * dilationX
        if isRow && x >= 0 && x + 3 * strideX < inputWidth {
          let place = picture + (y &* inputWidth &+ x) &* inputChannels
          for i in 0..<4 { next[i] = place + i &* step }
        } else {
          for i in 0..<4 {
            let x = x + i * strideX
            next[i] = isRow && x >= 0 && x < inputWidth ? picture + (y * inputWidth + x) * inputChannels : zeros
          }
        }
        next += 4
      }
    }
  }
}
