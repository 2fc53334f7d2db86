extension Lanes {
  /// Twelve chains of multiplications with additions, all in registers: as fast as the processor can. The result only
  /// keeps the compiler from leaving them out.
  @inlinable @inline(__always)
  static func chains(_ rounds: Int, _ factor: Float, _ summand: Float) -> Float {
    let (x, y) = (splat(factor), splat(summand))
    var (a, b, c, d, e, f) = (x, y, x + y, x + x, y + y, x - y)
    var (g, h, i, j, k, l) = (a + y, b + y, c + y, d + y, e + y, f + y)
    for _ in 0..<rounds {
      a = fma(y, a, x)
      b = fma(y, b, x)
      c = fma(y, c, x)
      d = fma(y, d, x)
      e = fma(y, e, x)
      f = fma(y, f, x)
      g = fma(y, g, x)
      h = fma(y, h, x)
      i = fma(y, i, x)
      j = fma(y, j, x)
      k = fma(y, k, x)
      l = fma(y, l, x)
    }
    return (((a + b) + (c + d)) + ((e + f) + (g + h)) + ((i + j) + (k + l)))[0]
  }
}
