extension Lanes {
  /// Twelve chains of multiplications with additions, all in registers: as fast as the processor can. The result only
  /// keeps the compiler from leaving them out.
  @inlinable @inline(__always)
  static func chains(_ rounds: Int, _ factor: Float, _ summand: Float) -> Float {
    let (x, y) = (splat(factor), splat(summand))
    // Each from another number: of two that start alike the compiler makes one.
    var (a, b, c, d) = (x, x + y, x - y, x * y)
    var (e, f, g, h) = (a + d, b + d, c + d, d + d)
    var (i, j, k, l) = (e * e, f * f, g * g, h * h)
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
