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
        sum = step(sum, load(taps[tap] + c, first: rest))
        tap = tap &+ 1
      }
      store(finish(sum), output + c, first: rest)
      c = c &+ rest
    }
  }
}
