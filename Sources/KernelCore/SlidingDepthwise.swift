/// A depthwise convolution of stride 1 at eight neighbouring output pixels, or four where registers are few: each pixel
/// of the input is loaded once for all taps of a row of the kernel.
///
/// Sums and results are those of `DepthwiseStrip`, added in the same order.
public struct DepthwiseSlide {
  /// [rows, `Lanes.slidePixels` + width - 1]: where the channels of the input pixels start.
  public var pointers: UnsafePointer<UnsafePointer<Float>>
  /// How many of the output pixels are stored.
  public var pixels: Int
  /// Of the kernel, those that lie in the image.
  public var rows: Int
  public var width, channels: Int
  /// [rows, width, channels]
  public var weights: UnsafePointer<Float>
  public var bias: UnsafePointer<Float>?
  /// Laid out as the output.
  public var residual: UnsafePointer<Float>?
  public var output: UnsafeMutablePointer<Float>
  public var low, high: Float

  public init(
    pointers: UnsafePointer<UnsafePointer<Float>>, pixels: Int, rows: Int, width: Int, channels: Int,
    weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>, low: Float, high: Float
  ) {
    self.pointers = pointers
    self.pixels = pixels
    self.rows = rows
    self.width = width
    self.channels = channels
    self.weights = weights
    self.bias = bias
    self.residual = residual
    self.output = output
    self.low = low
    self.high = high
  }
}

extension Lanes {
  /// Output pixels of a `DepthwiseSlide`.
  @inlinable @inline(__always)
  static var slidePixels: Int { hasTallTiles ? 8 : 4 }

  @inlinable @inline(__always)
  static func depthwise(_ s: DepthwiseSlide) {
    var c = 0
    while c &+ count <= s.channels {
      slide(s, c, count)
      c = c &+ count
    }
    if c < s.channels { slide(s, c, s.channels &- c) }
  }

  /// The first `rest` of the channels from `c` on.
  @inlinable @inline(__always)
  static func slide(_ s: DepthwiseSlide, _ c: Int, _ rest: Int) {
    if hasTallTiles {
      slideEight(s, c, rest)
    } else {
      slideFour(s, c, rest)
    }
  }

  @inlinable @inline(__always)
  static func slideEight(_ s: DepthwiseSlide, _ c: Int, _ rest: Int) {
    var left = FourSums<Self>()
    var right = FourSums<Self>()
    var p = s.pointers
    var w = s.weights + c
    for _ in 0..<s.rows {
      var x0 = load(p[0] + c, first: rest)
      var x1 = load(p[1] + c, first: rest)
      var x2 = load(p[2] + c, first: rest)
      var x3 = load(p[3] + c, first: rest)
      var x4 = load(p[4] + c, first: rest)
      var x5 = load(p[5] + c, first: rest)
      var x6 = load(p[6] + c, first: rest)
      p += 7
      for _ in 0..<s.width {
        let x7 = load(p[0] + c, first: rest)
        let weight = load(w, first: rest)
        left.add(weight, x0, x1, x2, x3)
        right.add(weight, x4, x5, x6, x7)
        (x0, x1, x2, x3, x4, x5, x6) = (x1, x2, x3, x4, x5, x6, x7)
        p += 1
        w += s.channels
      }
    }
    store(left, s, 0, c, rest)
    store(right, s, 4, c, rest)
  }

  @inlinable @inline(__always)
  static func slideFour(_ s: DepthwiseSlide, _ c: Int, _ rest: Int) {
    var sums = FourSums<Self>()
    var p = s.pointers
    var w = s.weights + c
    for _ in 0..<s.rows {
      var x0 = load(p[0] + c, first: rest)
      var x1 = load(p[1] + c, first: rest)
      var x2 = load(p[2] + c, first: rest)
      p += 3
      for _ in 0..<s.width {
        let x3 = load(p[0] + c, first: rest)
        sums.add(load(w, first: rest), x0, x1, x2, x3)
        (x0, x1, x2) = (x1, x2, x3)
        p += 1
        w += s.channels
      }
    }
    store(sums, s, 0, c, rest)
  }

  /// Stores the sums of the pixels from `first` on, as far as they are there.
  @inlinable @inline(__always)
  static func store(_ sums: FourSums<Self>, _ s: DepthwiseSlide, _ first: Int, _ c: Int, _ rest: Int) {
    var pixel = first
    while pixel < min(first &+ 4, s.pixels) {
      let place = pixel &* s.channels &+ c
      var sum = sums[pixel &- first]
      if let bias = s.bias { sum = sum + load(bias + c, first: rest) }
      if let residual = s.residual { sum = sum + load(residual + place, first: rest) }
      store(clamp(sum, splat(s.low), splat(s.high)), s.output + place, first: rest)
      pixel = pixel &+ 1
    }
  }
}
