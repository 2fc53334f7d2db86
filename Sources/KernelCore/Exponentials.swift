// Functions of one vector, accurate to a few units in the last place (the tests state the bounds).
extension Lanes {
  /// The polynomial with these coefficients, constant first, at `x`: behind the constant, pairs of terms, whose lines do
  /// not wait for each other, nested in the square.
  @inlinable @inline(__always)
  static func polynomial(
    _ x: V, _ c0: Float, _ c1: Float, _ c2: Float, _ c3: Float, _ c4: Float, _ c5: Float, _ c6: Float
  ) -> V {
    let square = x * x
    let pairs = fma(line(x, c1, c2), fma(line(x, c3, c4), line(x, c5, c6), square), square)
    return fma(splat(c0), pairs, x)
  }

  /// The same by Horner's scheme, where nothing waits for the result: `rest` is the factor of x⁴.
  @inlinable @inline(__always)
  static func polynomial(_ x: V, _ c0: Float, _ c1: Float, _ c2: Float, _ c3: Float, _ rest: V) -> V {
    fma(splat(c0), fma(splat(c1), fma(splat(c2), fma(splat(c3), rest, x), x), x), x)
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

  /// `exp(r) - 1 - r` over `r^2` for |r| up to half of ln 2: of all polynomials of this degree the one that is least
  /// wrong, by 3e-9 of `exp(r)`.
  @inlinable @inline(__always)
  static func exponentialTail(_ r: V) -> V {
    let square = r * r
    let high = fma(line(r, 0.041_668_39, 0.008_368_717), splat(0.001_381_459_9), square)
    return fma(line(r, 0.499_999_94, 0.166_665_21), high, square)
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

  /// `1 + exp(-x)` for what divides by it, within 2e-7 of itself; infinity up to -88.4. Its instructions wait for each
  /// other, and vectors behind it for them: so few as can be, with a polynomial one degree lower than that of `exp`.
  @inlinable @inline(__always)
  static func onePlusExp(minus x: V) -> V {
    let x = clamp(x, splat(-89), splat(87))
    let magic = splat(12_582_912)
    let n = fma(magic, x, splat(-1.442_695_04)) - magic
    // The negative of what `reduce` leaves of -x.
    let r = fma(fma(x, n, splat(0.693_359_375)), n, splat(-2.121_944_4e-4))
    let p = polynomial(r, -0.999_999_7, 0.499_991_48, -0.166_676_39, 0.041_898_16, splat(-0.008_290_272))
    return fma(splat(1), fma(splat(1), p, r), V.powerOfTwo(n))
  }

  @inlinable @inline(__always)
  static func sigmoid(_ x: V) -> V { splat(1) / onePlusExp(minus: x) }

  @inlinable @inline(__always)
  static func silu(_ x: V) -> V { x / onePlusExp(minus: x) }

  @inlinable @inline(__always)
  static func tanh(_ x: V) -> V {
    let e = expm1(V.magnitude(x) * splat(-2))
    return V.magnitude(e / (splat(2) + e), signOf: x)
  }

  /// For |x| < 1 an odd polynomial, beyond `1 - exp(P(|x| - 1))`; of their degree both are wrong by the least part of erf,
  /// 1e-9.
  @inlinable @inline(__always)
  static func erf(_ x: V) -> V {
    let size = V.magnitude(x)
    let small =
      x
      * polynomial(
        x * x, 1.128_379_2, -0.376_126_26, 0.112_835_854, -0.026_853_813, 0.005_188_327_7, -8.010_193_7e-4,
        7.853_861_5e-5)
    let t = clamp(size, splat(1), splat(4)) - splat(1)
    let tail = polynomial(
      t, -1.849_605_6, -2.638_966_8, -0.843_117_6, -0.041_503_496, 0.009_895_461, -0.001_829_383_2, 1.863_792e-4)
    let large = V.magnitude(splat(1) - normalExp(tail), signOf: x)
    return V.pick(splat(1), lessThan: size, large, else: small)
  }

  /// `max(x, 0) - |x| Φ(-|x|)`, Φ that of the normal distribution: a rational function, fitted on 0...5.5 so that
  /// the largest error of the product (5e-8) is least, and 0 beyond.
  @inlinable @inline(__always)
  static func gelu(_ x: V) -> V {
    let size = V.magnitude(x)
    let numerator = polynomial(
      size, 0.5, -0.474_602_5, 0.181_541_38, -0.034_959_37, line(size, 0.003_387_126_8, -1.320_086_2e-4))
    let higher = polynomial(
      size, 0.022_502_858, -0.001_112_261_9, 0.003_334_078, -8.066_211_6e-4, splat(2.439_923_8e-4))
    let denominator = polynomial(size, 1, -0.151_346_58, 0.242_671_43, -0.010_987_242, higher)
    let excess = V.pick(size, lessThan: splat(5.5), size * numerator / denominator, else: splat(0))
    return V.pick(x, lessThan: splat(0), splat(0), else: x) - excess
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
