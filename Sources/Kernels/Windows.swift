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
    isMerged = c.mergesRows(packing)
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
        var pointers = scratch.pointers + (ky * c.kernelWidth + kx) * scratch.pointerStride
        var image = picture + first * imageFloats
        var (y, x) = place.quotientAndRemainder(dividingBy: c.outputWidth)
        var left = pixels.count
        while left > 0 {
          let count = min(left, c.outputWidth - x)
          let iy = y * c.strideY - c.padTop + ky * c.dilationY
          let isInside = iy >= 0 && iy < c.inputHeight
          c.point(
            pointers, count: count, input: isInside ? image + iy * c.inputWidth * c.inputChannels : nil,
            firstX: x * c.strideX - c.padLeft + kx * c.dilationX, stride: c.strideX, zeros: zeros)
          pointers += count
          left -= count
          (x, y) = (0, y + 1)
          if y == c.outputHeight {
            y = 0
            image += imageFloats
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
    let step = c.strideX * c.inputChannels
    for ky in 0..<c.kernelHeight {
      var pointers = scratch.pointers + ky * scratch.pointerStride
      var line = UnsafePointer(copy + ky * c.dilationY * rowFloats)
      var (x, left) = (pixels.lowerBound - firstY * c.outputWidth, pixels.count)
      while left > 0 {
        let count = min(left, c.outputWidth - x)
        pointers.point(to: line + x * step, step: step, count: count)
        pointers += count
        line += c.strideY * rowFloats
        (x, left) = (0, left - count)
      }
    }
  }
}

extension UnsafeMutablePointer<UnsafePointer<Float>> {
  /// Points to every `step`th float from `first` on: a loop without questions, for there may be a pointer for every few
  /// multiplications.
  fileprivate func point(to first: UnsafePointer<Float>, step: Int, count: Int) {
    for i in 0..<count { self[i] = first + i &* step }
  }
}

extension Kernels.Convolution {
  /// Points to `count` pixels of an input row, from column `firstX` on and `stride` apart; to `zeros` beyond the row,
  /// and where there is none.
  func point(
    _ pointers: UnsafeMutablePointer<UnsafePointer<Float>>, count: Int, input: UnsafePointer<Float>?, firstX: Int,
    stride: Int, zeros: UnsafePointer<Float>
  ) {
    let inside = input == nil ? 0..<0 : Kernels.Pooling.inside(firstX, stride, count, inputWidth)
    pointers.update(repeating: zeros, count: inside.lowerBound)
    if let input {
      (pointers + inside.lowerBound).point(
        to: input + (firstX + inside.lowerBound * stride) * inputChannels, step: stride * inputChannels,
        count: inside.count)
    }
    (pointers + inside.upperBound).update(repeating: zeros, count: count - inside.upperBound)
  }

  /// Whether each row of the kernel is one tap.
  func mergesRows(_ packing: Packing) -> Bool {
    groups == 1 && dilationX == 1 && kernelWidth > 1 && inputChannels <= 8 && packing.roundedWords == 0
  }

  /// Summands of which runs have a multiple (`Product.unit`), the same for whole maps and for regions.
  func runUnit(_ packing: Packing) -> Int? { mergesRows(packing) ? kernelWidth * inputChannels : nil }
}
