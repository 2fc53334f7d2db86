/// The pixels of regions of a convolution's result, those together whose windows have the same taps in the padding,
/// which then are left out for whole tiles of them: of a kernel of 3×3 over maps of 7×7, a fifth of all taps.
struct PixelOrder {
  struct Pixel {
    let form, y, x: Int
    /// In the list of the regions.
    let place: Int
  }

  let pixels: [Pixel]

  /// Whether there is enough in the padding.
  static func pays(_ c: Kernels.Convolution, _ wanted: RegionList) -> Bool {
    let taps = c.kernelHeight * c.kernelWidth
    guard taps > 1, max(c.kernelHeight, c.kernelWidth) <= largestKernel else { return false }
    let inside = wanted.regions.reduce(0) { sum, region in
      let down = region.rows.reduce(0) { $0 + c.tapsDown($1).count }
      return sum + down * region.columns.reduce(0) { $0 + c.tapsAcross($1).count }
    }
    return Double(inside) <= (1 - leastShare) * Double(wanted.count * taps)
  }

  init(_ c: Kernels.Convolution, _ wanted: RegionList) {
    let columnKinds = (c.kernelWidth + 1) * (c.kernelWidth + 1)
    func kind(_ taps: Range<Int>, _ kernel: Int) -> Int { taps.lowerBound * (kernel + 1) + taps.upperBound }
    let kindsAcross = (0..<c.outputWidth).map { kind(c.tapsAcross($0), c.kernelWidth) }
    var kinds = [[Pixel]](repeating: [], count: (c.kernelHeight + 1) * (c.kernelHeight + 1) * columnKinds)
    wanted.forEachRun(in: 0..<wanted.count) { form, y, columns, place in
      let row = kind(c.tapsDown(y), c.kernelHeight) * columnKinds
      for x in columns {
        kinds[row + kindsAcross[x]].append(Pixel(form: form, y: y, x: x, place: place + x - columns.lowerBound))
      }
    }
    pixels = kinds.flatMap { $0 }
  }

  /// Larger ones have more kinds of windows than tiles.
  private static let largestKernel = 7
  private static let leastShare = 0.05
}

extension Kernels.Convolution {
  /// The rows of the kernel that lie inside of the input for output row `y`.
  fileprivate func tapsDown(_ y: Int) -> Range<Int> {
    Kernels.Pooling.inside(y * strideY - padTop, dilationY, kernelHeight, inputHeight)
  }

  fileprivate func tapsAcross(_ x: Int) -> Range<Int> {
    Kernels.Pooling.inside(x * strideX - padLeft, dilationX, kernelWidth, inputWidth)
  }
}
