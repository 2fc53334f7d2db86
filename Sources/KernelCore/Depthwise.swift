/// A depthwise convolution at four neighbouring output pixels.
///
/// `output[pixel, c] = clamp(sum + bias[c] + residual[pixel, c])` where `sum` is, over the taps, that of
/// `pointers[tap, pixel][c] * weights[tap, c]`.
public struct DepthwiseStrip {
  /// [taps, 4]: where the channels start.
  public var pointers: UnsafePointer<UnsafePointer<Float>>
  /// How many of the four are stored.
  public var pixels: Int
  public var taps, channels: Int
  public var weights: UnsafePointer<Float>
  public var bias: UnsafePointer<Float>?
  /// Laid out as the output.
  public var residual: UnsafePointer<Float>?
  public var output: UnsafeMutablePointer<Float>
  public var low, high: Float

  public init(
    pointers: UnsafePointer<UnsafePointer<Float>>, pixels: Int, taps: Int, channels: Int,
    weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>, low: Float, high: Float
  ) {
    self.pointers = pointers
    self.pixels = pixels
    self.taps = taps
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
  @inlinable @inline(__always)
  static func depthwise(_ s: DepthwiseStrip) {
    var c = 0
    // Two vectors at a time, for one reading of the pointers.
    while c &+ 2 &* count <= s.channels {
      var left = FourSums<Self>()
      var right = FourSums<Self>()
      var p = s.pointers
      var w = s.weights + c
      var tap = 0
      while tap < s.taps {
        let p0 = p[0] + c
        let p1 = p[1] + c
        let p2 = p[2] + c
        let p3 = p[3] + c
        left.add(load(w), load(p0), load(p1), load(p2), load(p3))
        right.add(
          load(w + count), load(p0 + count), load(p1 + count), load(p2 + count), load(p3 + count))
        p += 4
        w += s.channels
        tap = tap &+ 1
      }
      store(left, s, c, count)
      store(right, s, c &+ count, count)
      c = c &+ 2 &* count
    }
    while c < s.channels {
      let rest = min(count, s.channels &- c)
      var sums = FourSums<Self>()
      var p = s.pointers
      var w = s.weights + c
      var tap = 0
      while tap < s.taps {
        sums.add(
          load(w, first: rest), load(p[0] + c, first: rest), load(p[1] + c, first: rest),
          load(p[2] + c, first: rest), load(p[3] + c, first: rest))
        p += 4
        w += s.channels
        tap = tap &+ 1
      }
      store(sums, s, c, rest)
      c = c &+ rest
    }
  }

  /// Stores the first `rest` of the channels from `c` on.
  @inlinable @inline(__always)
  static func store(_ sums: FourSums<Self>, _ s: DepthwiseStrip, _ c: Int, _ rest: Int) {
    for pixel in 0..<s.pixels {
      let place = pixel &* s.channels &+ c
      var sum = sums[pixel]
      if let bias = s.bias { sum = sum + load(bias + c, first: rest) }
      if let residual = s.residual { sum = sum + load(residual + place, first: rest) }
      store(clamp(sum, splat(s.low), splat(s.high)), s.output + place, first: rest)
    }
  }
}
