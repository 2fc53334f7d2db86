extension Lanes {
  /// The largest element of each channel over some pixels.
  @inlinable @inline(__always)
  static func maximumOfTaps(
    _ taps: UnsafePointer<UnsafePointer<Float>>, _ tapCount: Int, _ channels: Int, _ output: UnsafeMutablePointer<Float>
  ) { pool(taps, tapCount, channels, output, -.infinity, { V.maximum($0, $1) }, { $0 }) }

  /// The sum of each channel over some pixels, divided by `divisor`.
  @inlinable @inline(__always)
  static func meanOfTaps(
    _ taps: UnsafePointer<UnsafePointer<Float>>, _ tapCount: Int, _ channels: Int, divisor: Float,
    _ output: UnsafeMutablePointer<Float>
  ) {
    let divisor = splat(divisor)
    pool(taps, tapCount, channels, output, 0, { $0 + $1 }, { $0 / divisor })
  }

  @inlinable @inline(__always)
  static func pool(
    _ taps: UnsafePointer<UnsafePointer<Float>>, _ tapCount: Int, _ channels: Int,
    _ output: UnsafeMutablePointer<Float>, _ start: Float, _ step: (V, V) -> V, _ finish: (V) -> V
  ) {
    var c = 0
    while c &+ 4 &* count <= channels {
      var sum0 = splat(start)
      var sum1 = sum0
      var sum2 = sum0
      var sum3 = sum0
      var tap = 0
      while tap < tapCount {
        let p = taps[tap] + c
        sum0 = step(sum0, load(p))
        sum1 = step(sum1, load(p + count))
        sum2 = step(sum2, load(p + 2 &* count))
        sum3 = step(sum3, load(p + 3 &* count))
        tap = tap &+ 1
      }
      store(finish(sum0), output + c)
      store(finish(sum1), output + c + count)
      store(finish(sum2), output + c + 2 &* count)
      store(finish(sum3), output + c + 3 &* count)
      c = c &+ 4 &* count
    }
    while c < channels {
      let rest = min(count, channels &- c)
      var sum = splat(start)
      var tap = 0
      while tap < tapCount {
        sum = step(sum, rest == count ? load(taps[tap] + c) : load(taps[tap] + c, first: rest))
        tap = tap &+ 1
      }
      store(finish(sum), output + c, first: rest)
      c = c &+ rest
    }
  }

  /// A depthwise convolution at four neighbouring pixels: `output[pixel, c] = clamp(bias[c] + residual[pixel, c] + sum
  /// over taps of pointers[tap, pixel][c] * weights[tap, c])`. The first `pixels` are stored.
  @inlinable @inline(__always)
  static func depthwise(
    _ pointers: UnsafePointer<UnsafePointer<Float>>, pixels: Int, taps: Int, channels: Int,
    weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    _ output: UnsafeMutablePointer<Float>, low: Float, high: Float
  ) {
    var c = 0
    while c < channels {
      let rest = min(count, channels &- c)
      let isWhole = rest == count
      var sum0 = splat(0)
      var sum1 = sum0
      var sum2 = sum0
      var sum3 = sum0
      var p = pointers
      var w = weights + c
      var tap = 0
      while tap < taps {
        let weight = isWhole ? load(w) : load(w, first: rest)
        sum0 = fma(sum0, isWhole ? load(p[0] + c) : load(p[0] + c, first: rest), weight)
        sum1 = fma(sum1, isWhole ? load(p[1] + c) : load(p[1] + c, first: rest), weight)
        sum2 = fma(sum2, isWhole ? load(p[2] + c) : load(p[2] + c, first: rest), weight)
        sum3 = fma(sum3, isWhole ? load(p[3] + c) : load(p[3] + c, first: rest), weight)
        p += 4
        w += channels
        tap = tap &+ 1
      }
      let start = bias.map { load($0 + c, first: rest) } ?? splat(0)
      var pixel = 0
      while pixel < pixels {
        var sum = pixel == 0 ? sum0 : pixel == 1 ? sum1 : pixel == 2 ? sum2 : sum3
        let place = pixel &* channels &+ c
        sum = sum + start
        if let residual { sum = sum + load(residual + place, first: rest) }
        store(clamp(sum, splat(low), splat(high)), output + place, first: rest)
        pixel = pixel &+ 1
      }
      c = c &+ rest
    }
  }
}
