import Tensors

/// Finds the operands of a convolution: for each output pixel and each tap, where the channels start.
///
/// Taps read the input where it lies, or zeros. With few channels, though, each row of the kernel is one tap of
/// `kernelWidth * inputChannels` channels: in a copy of the picture that has its padding, they are neighbours.
struct Windows {
  let c: Kernels.Convolution
  /// How often the grid is gone through: for each image, or once for the rows of all, so that weights are read for as
  /// many rows as there are. Copies are made of one image, and the sums of OpenBLAS would depend on the split of a
  /// batch.
  let passes: Int
  let grid: TaskGrid
  let taps, channels: Int
  /// Memory of one task: a `Scratch`, then zeros or the copy.
  let slotBytes: Int
  private let isMerged: Bool
  private let scratchBytes: Int
  /// Floats in one row of the copy.
  private let rowFloats: Int

  init(_ c: Kernels.Convolution, _ packing: Packing, _ kernels: Kernels, threads: Int) {
    self.c = c
    let groupChannels = c.inputChannels / c.groups
    let isRounded = packing.roundedWords > 0
    isMerged = c.groups == 1 && c.dilationX == 1 && c.kernelWidth > 1 && c.inputChannels <= 8 && !isRounded
    passes = isMerged || kernels.variant == .openblas ? c.batch : 1
    grid = kernels.grid(
      rows: c.batch / max(1, passes) * c.outputHeight * c.outputWidth, columns: c.outputChannels / c.groups,
      rowFloats: isRounded ? packing.taps * packing.words : groupChannels * c.strideX * c.strideY, threads: threads)
    taps = isMerged ? c.kernelHeight : c.kernelHeight * c.kernelWidth
    channels = isMerged ? c.kernelWidth * groupChannels : groupChannels
    rowFloats = ((c.outputWidth - 1) * c.strideX + c.kernelWidth) * c.inputChannels
    scratchBytes = Scratch.byteCount(
      rows: grid.blockRows, taps: taps,
      gathering: kernels.variant == .openblas ? channels : packing.roundedWords)
    // A block may start in the middle of an output row.
    let outputRows = (grid.blockRows + c.outputWidth - 2) / c.outputWidth + 1
    let copyFloats = Windows.rows(c, outputRows) * rowFloats
    slotBytes = scratchBytes + (4 * (isMerged ? copyFloats : channels)).roundedUp(to: 64)
  }

  /// Input rows under `outputRows` neighbouring rows of the output.
  private static func rows(_ c: Kernels.Convolution, _ outputRows: Int) -> Int {
    (outputRows - 1) * c.strideY + (c.kernelHeight - 1) * c.dilationY + 1
  }

  /// Fills in the pointers for the output pixels `pixels` of a pass, whose first image is `picture`; returns what
  /// pointers to padding equal.
  func point(
    _ pixels: Range<Int>, _ picture: UnsafePointer<Float>, group: Int, _ memory: UnsafeMutableRawPointer
  ) -> UnsafePointer<Float>? {
    let scratch = Scratch(memory, rows: grid.blockRows)
    let rest = (memory + scratchBytes).assumingMemoryBound(to: Float.self)
    if isMerged {
      pointToCopy(pixels, picture, scratch, rest)
      return nil
    }
    rest.update(repeating: 0, count: channels)
    pointToInput(pixels, picture + group * channels, scratch, zeros: rest)
    return UnsafePointer(rest)
  }

  private func pointToInput(
    _ pixels: Range<Int>, _ picture: UnsafePointer<Float>, _ scratch: Scratch, zeros: UnsafePointer<Float>
  ) {
    let imageFloats = c.inputHeight * c.inputWidth * c.inputChannels
    let (first, place) = pixels.lowerBound.quotientAndRemainder(dividingBy: c.outputHeight * c.outputWidth)
    for ky in 0..<c.kernelHeight {
      for kx in 0..<c.kernelWidth {
        let pointers = scratch.pointers + (ky * c.kernelWidth + kx) * scratch.pointerStride
        var image = picture + first * imageFloats
        var (y, x) = place.quotientAndRemainder(dividingBy: c.outputWidth)
        for i in 0..<pixels.count {
          let iy = y * c.strideY - c.padTop + ky * c.dilationY
          let ix = x * c.strideX - c.padLeft + kx * c.dilationX
          let isInside = iy >= 0 && iy < c.inputHeight && ix >= 0 && ix < c.inputWidth
          pointers[i] = isInside ? image + (iy * c.inputWidth + ix) * c.inputChannels : zeros
          x += 1
          if x == c.outputWidth {
            x = 0
            y += 1
            if y == c.outputHeight {
              y = 0
              image += imageFloats
            }
          }
        }
      }
    }
  }

  private func pointToCopy(
    _ pixels: Range<Int>, _ picture: UnsafePointer<Float>, _ scratch: Scratch, _ copy: UnsafeMutablePointer<Float>
  ) {
    let firstY = pixels.lowerBound / c.outputWidth
    let lastY = (pixels.upperBound - 1) / c.outputWidth
    let inputRow = c.inputWidth * c.inputChannels
    let left = min(max(0, c.padLeft) * c.inputChannels, rowFloats)
    // Padding below 0 cuts.
    let skipped = min(max(0, -c.padLeft) * c.inputChannels, inputRow)
    let middle = min(inputRow - skipped, rowFloats - left)
    for row in 0..<Windows.rows(c, lastY - firstY + 1) {
      let y = firstY * c.strideY - c.padTop + row
      let target = copy + row * rowFloats
      guard y >= 0, y < c.inputHeight else {
        target.update(repeating: 0, count: rowFloats)
        continue
      }
      target.update(repeating: 0, count: left)
      (target + left).update(from: picture + y * inputRow + skipped, count: middle)
      (target + left + middle).update(repeating: 0, count: rowFloats - left - middle)
    }
    let firstX = pixels.lowerBound - firstY * c.outputWidth
    for ky in 0..<c.kernelHeight {
      let pointers = scratch.pointers + ky * scratch.pointerStride
      var line = copy + ky * c.dilationY * rowFloats
      var x = firstX
      for i in 0..<pixels.count {
        pointers[i] = UnsafePointer(line + x * c.strideX * c.inputChannels)
        x += 1
        if x == c.outputWidth {
          x = 0
          line += c.strideY * rowFloats
        }
      }
    }
  }
}
