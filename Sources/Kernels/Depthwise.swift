import KernelCore
import Parallel

extension Kernels {
  /// A convolution whose groups, input channels and output channels are equal in number; weights
  /// [kernelHeight * kernelWidth, channels].
  func convolveDepthwise(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    if c.readsOften { return convolvePlanes(c, input, weights, into: output, epilogue, parallel) }
    let slides = c.strideX == 1 && c.dilationX == 1
    // Two rows of the output have all rows of the input but one in common.
    let height = slides && c.strideY == 1 && c.dilationY == 1 ? 2 : 1
    let strips = (c.outputHeight + height - 1) / height
    let taps = c.kernelHeight * c.kernelWidth
    let pointerCount = slides ? min(c.kernelHeight + height - 1, c.inputHeight) * slideStride(c) : 4 * taps
    let pointerBytes = MemoryLayout<UnsafePointer<Float>>.stride * pointerCount
    parallel.forEach(c.batch * strips) { range in
      withUnsafeTemporaryAllocation(byteCount: pointerBytes + 4 * c.outputChannels, alignment: 64) { memory in
        guard let base = memory.baseAddress else { return }
        let pointers = base.assumingMemoryBound(to: UnsafePointer<Float>.self)
        let zeros = (base + pointerBytes).assumingMemoryBound(to: Float.self)
        zeros.update(repeating: 0, count: c.outputChannels)
        for strip in range {
          let (image, y) = (strip / strips, strip % strips * height)
          let rows = y..<min(y + height, c.outputHeight)
          if slides {
            slide(c, image, rows, input, weights, into: output, epilogue, pointers, zeros)
          } else {
            step(
              c, row: image * c.outputHeight + y, input, weights, into: output, epilogue, pointers, zeros)
          }
          let first = (image * c.outputHeight + y) * c.outputWidth
          applyUnclamped(
            epilogue, output, stride: c.outputChannels, first..<first + rows.count * c.outputWidth,
            0..<c.outputChannels)
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

  /// Pixels of an input row that the slides of an output row read, padding included.
  private func slideStride(_ c: Convolution) -> Int {
    (c.outputWidth + table.slidePixels - 1) / table.slidePixels * table.slidePixels + c.kernelWidth - 1
  }

  /// One or two rows of the output of an image, as many pixels at a time as registers allow, from the rows of the input
  /// that there are.
  private func slide(
    _ c: Convolution, _ image: Int, _ rows: Range<Int>, _ input: UnsafePointer<Float>,
    _ weights: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue,
    _ pointers: UnsafeMutablePointer<UnsafePointer<Float>>, _ zeros: UnsafePointer<Float>
  ) {
    let clamp = epilogue.activation?.clampRange
    let picture = input + image * c.inputHeight * c.inputWidth * c.inputChannels
    let top = rows.lowerBound * c.strideY - c.padTop
    let inside = Pooling.inside(top, c.dilationY, c.kernelHeight + rows.count - 1, c.inputHeight)
    let rowFloats = c.outputWidth * c.outputChannels
    let stride = slideStride(c)
    for (i, row) in inside.enumerated() {
      let line = picture + (top + row * c.dilationY) * c.inputWidth * c.inputChannels
      c.point(pointers + i * stride, count: stride, input: line, firstX: -c.padLeft, stride: 1, zeros: zeros)
    }
    for x in Swift.stride(from: 0, to: c.outputWidth, by: table.slidePixels) {
      let place = (image * c.outputHeight + rows.lowerBound) * rowFloats + x * c.outputChannels
      table.slide(
        DepthwiseSlide(
          rows: inside, pointers: pointers + x, pointerStride: stride,
          pixels: min(table.slidePixels, c.outputWidth - x), height: c.kernelHeight, width: c.kernelWidth,
          channels: c.outputChannels, weights: weights, bias: epilogue.bias,
          residual: epilogue.residual.map { $0 + place }, output: output + place,
          lowerRow: rows.count > 1 ? rowFloats : nil, low: clamp?.lowerBound ?? -.infinity,
          high: clamp?.upperBound ?? .infinity))
    }
  }
}

extension Kernels {
  /// Large kernels, by `DepthwisePlane`: of some rows of the output, a vector of channels at a time.
  private func convolvePlanes(
    _ c: Convolution, _ input: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    // So many rows that few of those of the map are copied twice, and that the copy stays near.
    let (lanes, height, clamp) = (table.planeChannels, min(14, c.outputHeight), epilogue.activation?.clampRange)
    let blocks = (c.outputChannels + lanes - 1) / lanes
    let strips = (c.outputHeight + height - 1) / height
    let floats = table.planeScratch(height, c.outputWidth, c.kernelHeight, c.kernelWidth)
    parallel.forEach(c.batch * strips * blocks) { range in
      withUnsafeTemporaryAllocation(byteCount: 4 * floats, alignment: 64) { memory in
        guard let scratch = memory.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
        for task in range {
          let (image, strip, channel) = (task / blocks / strips, task / blocks % strips, task % blocks * lanes)
          let rows = strip * height..<min(c.outputHeight, (strip + 1) * height)
          let channels = channel..<min(c.outputChannels, channel + lanes)
          let first = (image * c.outputHeight + rows.lowerBound) * c.outputWidth
          let place = first * c.outputChannels + channel
          table.plane(
            DepthwisePlane(
              input: input + (image * c.inputHeight * c.inputWidth * c.inputChannels + channel),
              inputHeight: c.inputHeight, inputWidth: c.inputWidth, top: rows.lowerBound - c.padTop, left: -c.padLeft,
              rows: rows.count, pixels: c.outputWidth, height: c.kernelHeight, width: c.kernelWidth,
              channels: channels.count, stride: c.outputChannels, weights: weights + channel,
              bias: epilogue.bias.map { $0 + channel }, residual: epilogue.residual.map { $0 + place },
              output: output + place, low: clamp?.lowerBound ?? -.infinity, high: clamp?.upperBound ?? .infinity,
              scratch: scratch))
          applyUnclamped(
            epilogue, output, stride: c.outputChannels, first..<first + rows.count * c.outputWidth, channels)
        }
      }
    }
  }
}

extension Kernels.Convolution {
  /// Whether a copy of what some rows read pays: the taps are many, read what those of the neighbours read too, and the
  /// copy stays in the second-level cache.
  fileprivate var readsOften: Bool {
    kernelHeight * kernelWidth >= 25 && max(kernelHeight, kernelWidth) <= 15 && outputWidth <= 256
      && max(strideX, strideY, dilationX, dilationY) == 1
  }

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
