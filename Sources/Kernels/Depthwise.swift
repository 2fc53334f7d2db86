import KernelCore
import Parallel

extension Kernels {
  /// A convolution whose groups, input channels and output channels are equal in number; weights
  /// [kernelHeight * kernelWidth, channels].
  func convolveDepthwise(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    let slides = c.strideX == 1 && c.dilationX == 1
    let taps = c.kernelHeight * c.kernelWidth
    let pointerCount = slides ? c.kernelHeight * (table.slidePixels + c.kernelWidth - 1) : 4 * taps
    let pointerBytes = MemoryLayout<UnsafePointer<Float>>.stride * pointerCount
    parallel.forEach(c.batch * c.outputHeight) { rows in
      withUnsafeTemporaryAllocation(byteCount: pointerBytes + 4 * c.outputChannels, alignment: 64) { memory in
        guard let base = memory.baseAddress else { return }
        let pointers = base.assumingMemoryBound(to: UnsafePointer<Float>.self)
        let zeros = (base + pointerBytes).assumingMemoryBound(to: Float.self)
        zeros.update(repeating: 0, count: c.outputChannels)
        for row in rows {
          if slides {
            slide(c, row: row, input, weights, into: output, epilogue, pointers, zeros)
          } else {
            step(c, row: row, input, weights, into: output, epilogue, pointers, zeros)
          }
          let first = row * c.outputWidth
          applyUnclamped(
            epilogue, output, stride: c.outputChannels, first..<first + c.outputWidth, 0..<c.outputChannels)
        }
      }
    }
  }

  /// One row of the output, four pixels at a time.
  private func step(
    _ c: Convolution, row: Int, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue,
    _ pointers: UnsafeMutablePointer<UnsafePointer<Float>>, _ zeros: UnsafePointer<Float>
  ) {
    let clamp = epilogue.activation?.clampRange
    for x in stride(from: 0, to: c.outputWidth, by: 4) {
      c.point(pointers, row: row, firstX: x, input, zeros)
      let place = (row * c.outputWidth + x) * c.outputChannels
      table.depthwise(
        DepthwiseStrip(
          pointers: pointers, pixels: min(4, c.outputWidth - x), taps: c.kernelHeight * c.kernelWidth,
          channels: c.outputChannels, weights: weights, bias: epilogue.bias,
          residual: epilogue.residual.map { $0 + place }, output: output + place, low: clamp?.lowerBound ?? -.infinity,
          high: clamp?.upperBound ?? .infinity))
    }
  }

  /// One row of the output, as many pixels at a time as registers allow, of the kernel's rows that lie in the image.
  private func slide(
    _ c: Convolution, row: Int, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue,
    _ pointers: UnsafeMutablePointer<UnsafePointer<Float>>, _ zeros: UnsafePointer<Float>
  ) {
    let clamp = epilogue.activation?.clampRange
    let image = input + row / c.outputHeight * c.inputHeight * c.inputWidth * c.inputChannels
    let top = row % c.outputHeight * c.strideY - c.padTop
    let inside = (0..<c.kernelHeight).filter { (0..<c.inputHeight).contains(top + $0 * c.dilationY) }
    for x in stride(from: 0, to: c.outputWidth, by: table.slidePixels) {
      var next = pointers
      for ky in inside {
        let line = image + (top + ky * c.dilationY) * c.inputWidth * c.inputChannels
        for ix in x - c.padLeft..<x - c.padLeft + table.slidePixels + c.kernelWidth - 1 {
          next.pointee = ix >= 0 && ix < c.inputWidth ? line + ix * c.inputChannels : zeros
          next += 1
        }
      }
      let place = (row * c.outputWidth + x) * c.outputChannels
      table.slide(
        DepthwiseSlide(
          pointers: pointers, pixels: min(table.slidePixels, c.outputWidth - x), rows: inside.count,
          width: c.kernelWidth, channels: c.outputChannels,
          weights: weights + (inside.first ?? 0) * c.kernelWidth * c.outputChannels, bias: epilogue.bias,
          residual: epilogue.residual.map { $0 + place }, output: output + place, low: clamp?.lowerBound ?? -.infinity,
          high: clamp?.upperBound ?? .infinity))
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
