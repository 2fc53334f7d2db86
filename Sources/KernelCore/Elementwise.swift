/// Functions of one number that have vector code. `a` and `b` are parameters.
public enum UnaryFunction: Sendable {
  /// Between `a` and `b`.
  case clamp
  /// `x < 0 ? a * x : x`
  case leaky
  /// `b * (x < 0 ? a * (exp(x) - 1) : x)`
  case exponentialLinear
  /// `clamp(a * x + b, 0, 1)`
  case hardSigmoid
  /// `x * clamp(x / 6 + 1/2, 0, 1)`
  case hardSwish
  case exp, sigmoid, silu, tanh, erf, gelu, geluTanh, mish, sqrt, reciprocal, negate, abs
}

/// Functions of two numbers that have vector code.
public enum BinaryFunction: Sendable {
  case add, subtract, multiply, divide, minimum, maximum
  /// `a < 0 ? a * b : a`
  case prelu
}

extension Lanes {
  /// `output[i] = f(x[i])` a vector at a time; both may be the same memory.
  @inlinable @inline(__always)
  static func each(
    _ x: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ n: Int, _ f: (V) -> V
  ) {
    var i = 0
    while i &+ count <= n {
      store(f(load(x + i)), output + i)
      i = i &+ count
    }
    if i < n { store(f(load(x + i, first: n &- i)), output + i, first: n &- i) }
  }

  /// `output[row, i] = f(x[row, i])` of rows of `n`, `stride` apart; both may be the same memory.
  @inlinable @inline(__always)
  static func unary(
    _ function: UnaryFunction, _ a: Float, _ b: Float, _ x: UnsafePointer<Float>,
    _ output: UnsafeMutablePointer<Float>, _ n: Int, rows: Int, stride: Int
  ) {
    @inline(__always)
    func each(_ f: (V) -> V) {
      for row in 0..<rows { Self.each(x + row &* stride, output + row &* stride, n, f) }
    }
    let zero = splat(0)
    let one = splat(1)
    let a = splat(a)
    let b = splat(b)
    switch function {
    case .clamp: each { clamp($0, a, b) }
    case .leaky: each { V.pick($0, lessThan: zero, a * $0, else: $0) }
    case .exponentialLinear: each { b * V.pick($0, lessThan: zero, a * expm1($0), else: $0) }
    case .hardSigmoid: each { clamp(fma(b, a, $0), zero, one) }
    case .hardSwish: each { $0 * clamp(fma(splat(0.5), $0, splat(1 / 6)), zero, one) }
    case .exp: each { exp($0) }
    case .sigmoid: each { sigmoid($0) }
    case .silu: each { silu($0) }
    case .tanh: each { tanh($0) }
    case .erf: each { erf($0) }
    case .gelu: each { gelu($0) }
    case .geluTanh: each { geluTanh($0) }
    case .mish: each { mish($0) }
    case .sqrt: each { V.squareRoot($0) }
    case .reciprocal: each { one / $0 }
    case .negate: each { $0 * splat(-1) }
    case .abs: each { V.magnitude($0) }
    }
  }

  @inlinable @inline(__always)
  static func binary(
    _ function: BinaryFunction, _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int,
    _ output: UnsafeMutablePointer<Float>, _ n: Int
  ) {
    let zero = splat(0)
    switch function {
    case .add: pairs(a, aStep, b, bStep, output, n) { $0 + $1 }
    case .subtract: pairs(a, aStep, b, bStep, output, n) { $0 - $1 }
    case .multiply: pairs(a, aStep, b, bStep, output, n) { $0 * $1 }
    case .divide: pairs(a, aStep, b, bStep, output, n) { $0 / $1 }
    case .minimum: pairs(a, aStep, b, bStep, output, n) { V.minimum($0, $1) }
    case .maximum: pairs(a, aStep, b, bStep, output, n) { V.maximum($0, $1) }
    case .prelu: pairs(a, aStep, b, bStep, output, n) { V.pick($0, lessThan: zero, $0 * $1, else: $0) }
    }
  }

  /// `output[i] = low < y[i] && y[i] < high ? x[i] : 0`; `output` may be either.
  @inlinable @inline(__always)
  public static func passWithin(
    _ low: Float, _ high: Float, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>,
    _ output: UnsafeMutablePointer<Float>, _ n: Int
  ) {
    let (low, high, zero) = (splat(low), splat(high), splat(0))
    pairs(x, 1, y, 1, output, n) { x, y in
      V.pick(low, lessThan: y, V.pick(y, lessThan: high, x, else: zero), else: zero)
    }
  }

  /// `output[i] = f(a[i * aStep], b[i * bStep])` for steps of 0 and 1; `output` may be an operand of step 1.
  @inlinable @inline(__always)
  static func pairs(
    _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int,
    _ output: UnsafeMutablePointer<Float>, _ n: Int, _ f: (V, V) -> V
  ) {
    if aStep == 0 {
      let a = splat(a[0])
      if bStep == 0 {
        let value = f(a, splat(b[0]))
        each(output, output, n) { _ in value }
      } else {
        each(b, output, n) { f(a, $0) }
      }
    } else if bStep == 0 {
      let b = splat(b[0])
      each(a, output, n) { f($0, b) }
    } else {
      var i = 0
      while i &+ count <= n {
        store(f(load(a + i), load(b + i)), output + i)
        i = i &+ count
      }
      let rest = n &- i
      if rest > 0 { store(f(load(a + i, first: rest), load(b + i, first: rest)), output + i, first: rest) }
    }
  }
}
