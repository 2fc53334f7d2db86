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

  /// In runs, as `columns`.
  @inlinable @inline(__always)
  static func pool(
    _ taps: UnsafePointer<UnsafePointer<Float>>, _ tapCount: Int, _ channels: Int,
    _ output: UnsafeMutablePointer<Float>, _ start: Float, _ step: (V, V) -> V, _ finish: (V) -> V
  ) {
    var c = 0
    while c &+ 4 &* count <= channels {
      var (sum0, sum1, sum2, sum3) = (splat(start), splat(start), splat(start), splat(start))
      var tap = 0
      repeat {
        var (run0, run1, run2, run3) = (splat(start), splat(start), splat(start), splat(start))
        let end = min(tap &+ runLength, tapCount)
        while tap < end {
          let p = taps[tap] + c
          run0 = step(run0, load(p))
          run1 = step(run1, load(p + count))
          run2 = step(run2, load(p + 2 &* count))
          run3 = step(run3, load(p + 3 &* count))
          tap = tap &+ 1
        }
        (sum0, sum1, sum2, sum3) = (step(sum0, run0), step(sum1, run1), step(sum2, run2), step(sum3, run3))
      } while tap < tapCount
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
      repeat {
        var run = splat(start)
        let end = min(tap &+ runLength, tapCount)
        while tap < end {
          run = step(run, load(taps[tap] + c, first: rest))
          tap = tap &+ 1
        }
        sum = step(sum, run)
      } while tap < tapCount
      store(finish(sum), output + c, first: rest)
      c = c &+ rest
    }
  }
}
