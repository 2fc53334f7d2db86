// Functions of one vector, accurate to a few units in the last place (the tests state the bounds).
extension Lanes {
  /// The polynomial with these coefficients, constant first, at `x`: behind the constant, pairs of terms and pairs of
  /// pairs (Estrin's scheme), since what limits these functions is how long one result waits for another.
  @inlinable @inline(__always)
  static func polynomial(
    _ x: V, _ c0: Float, _ c1: Float, _ c2: Float, _ c3: Float, _ c4: Float, _ c5: Float, _ c6: Float, _ c7: Float
  ) -> V {
    let square = x * x
    let low = fma(line(x, c1, c2), line(x, c3, c4), square)
    return fma(splat(c0), fma(low, fma(line(x, c5, c6), splat(c7), square), square * square), x)
  }

  @inlinable @inline(__always)
  static func line(_ x: V, _ c0: Float, _ c1: Float) -> V { fma(splat(c0), splat(c1), x) }

  /// `x = n ln 2 + r` with whole `n` and |r| at most half of ln 2. ln 2 comes in two parts, the first short enough
  /// that its multiples are exact.
  @inlinable @inline(__always)
  static func reduce(_ x: V) -> (n: V, r: V) {
    let magic = splat(12_582_912)  // 1.5 * 2^23: adding it rounds to whole numbers
    let n = fma(magic, x, splat(1.442_695_04)) - magic
    let r = fma(fma(x, n, splat(-0.693_359_375)), n, splat(2.121_944_4e-4))
    return (n, r)
  }

  /// `exp(r) - 1 - r` over `r^2` for small `r`: Taylor's polynomial, whose remainder is below a unit in the last place.
  @inlinable @inline(__always)
  static func exponentialTail(_ r: V) -> V {
    let square = r * r
    let low = fma(line(r, 1 / 2, 1 / 6), line(r, 1 / 24, 1 / 120), square)
    return fma(low, fma(line(r, 1 / 720, 1 / 5040), splat(1 / 40320), square), square * square)
  }

  @inlinable @inline(__always)
  static func exp(_ x: V) -> V {
    let (n, r) = reduce(clamp(x, splat(-104), splat(89)))
    let p = splat(1) + fma(r, r * r, exponentialTail(r))
    // In two steps, since 2^n itself may lie beyond the normal numbers.
    let magic = splat(12_582_912)
    let half = fma(magic, n, splat(0.5)) - magic
    return p * V.powerOfTwo(half) * V.powerOfTwo(n - half)
  }

  /// `exp(x)` where that is a normal number, for x from -87 on; infinity from 88.4 on (where 2^n is), up to 89.
  @inlinable @inline(__always)
  static func normalExp(_ x: V) -> V {
    let (n, r) = reduce(x)
    return (splat(1) + fma(r, r * r, exponentialTail(r))) * V.powerOfTwo(n)
  }

  /// `exp(x) - 1` without loss near 0.
  @inlinable @inline(__always)
  static func expm1(_ x: V) -> V {
    let (n, r) = reduce(clamp(x, splat(-30), splat(88)))
    let q = fma(r, r * r, exponentialTail(r))
    let power = V.powerOfTwo(n)
    return fma(power - splat(1), power, q)
  }

  @inlinable @inline(__always)
  static func sigmoid(_ x: V) -> V {
    splat(1) / (splat(1) + normalExp(clamp(splat(0) - x, splat(-87), splat(89))))
  }

  @inlinable @inline(__always)
  static func tanh(_ x: V) -> V {
    let e = expm1(V.magnitude(x) * splat(-2))
    return V.magnitude(e / (splat(2) + e), signOf: x)
  }

  /// For |x| < 1 an odd polynomial, beyond `1 - exp(P(|x| - 1))`; both fitted to erf at Chebyshev points.
  @inlinable @inline(__always)
  static func erf(_ x: V) -> V {
    let size = V.magnitude(x)
    let small =
      x
      * polynomial(
        x * x, 1.128_379_2, -0.376_126_38, 0.112_837_83, -0.026_865_438, 0.005_221_053, -0.000_848_439_64,
        0.000_112_682_54, -9.673_59e-6)
    let t = clamp(size, splat(1), splat(4)) - splat(1)
    let tail = fma(
      splat(-1.849_605_6), t,
      polynomial(
        t, -2.638_967_8, -0.843_104_3, -0.041_577_633, 0.010_081_141, -0.002_057_222_6, 0.000_321_589_24,
        -3.327_515_9e-5, 1.666_226_1e-6))
    let large = V.magnitude(splat(1) - normalExp(tail), signOf: x)
    return V.pick(splat(1), lessThan: size, large, else: small)
  }

  @inlinable @inline(__always)
  static func gelu(_ x: V) -> V {
    let half = x * splat(0.5)
    return fma(half, half, erf(x * splat(0.707_106_78)))
  }

  @inlinable @inline(__always)
  static func geluTanh(_ x: V) -> V {
    let half = x * splat(0.5)
    let inner = fma(x, x * x * x, splat(0.044_715)) * splat(0.797_884_56)
    return fma(half, half, tanh(inner))
  }

  /// `x tanh(log(1 + exp(x)))`, with tanh written as a rational function of exp(x).
  @inlinable @inline(__always)
  static func mish(_ x: V) -> V {
    let e = exp(clamp(x, splat(-104), splat(20)))
    let w = e * (e + splat(2))
    return x * (w / (w + splat(2)))
  }
}
