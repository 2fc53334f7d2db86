import Glibc
public import Parallel

extension Kernels {
  /// Functions of one number.
  public enum Unary: Sendable, Hashable {
    case relu
    case clip(Float, Float)
    case leakyRelu(Float)
    case elu(Float)
    /// `gamma * (x > 0 ? x : alpha * (exp(x) - 1))`
    case selu(alpha: Float, gamma: Float)
    case celu(Float)
    case thresholdedRelu(Float)
    case sigmoid
    case hardSigmoid(alpha: Float, beta: Float)
    case hardSwish
    case silu
    case mish
    /// With erf.
    case gelu
    /// The approximation with tanh.
    case geluTanh
    case softplus
    case softsign
    case tanh, erf, exp, log, sqrt, reciprocal, negate, abs, sign
    /// `round` takes halves to the even neighbour.
    case floor, ceil, round
    case sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh
  }

  /// Functions of two numbers. `minimum` and `maximum` are NaN where either is; `remainder` has the sign of the
  /// dividend (C's fmod); `prelu` is `x < 0 ? x * slope : x`.
  public enum Binary: Sendable, Hashable, CaseIterable {
    case add, subtract, multiply, divide, power, minimum, maximum, remainder, prelu
  }

  /// `output[i] = op(x[i])`; `output` may be `x`.
  public func unary(
    _ op: Unary, _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, count: Int,
    _ parallel: Parallel
  ) {
    for i in 0..<count { output[i] = scalar(op, x[i]) }
  }

  /// `output[r, c] = op(a[r, c], b[r, c])` with `output` dense. A row stride of 0 repeats a row; a column stride is
  /// 1, or 0 to repeat one element along the row. `output` may be an operand that is dense too.
  public func binary(
    _ op: Binary, rows: Int, columns: Int, _ a: UnsafePointer<Float>, aRowStride: Int, aColumnStride: Int,
    _ b: UnsafePointer<Float>, bRowStride: Int, bColumnStride: Int, into output: UnsafeMutablePointer<Float>,
    _ parallel: Parallel
  ) {
    for r in 0..<rows {
      for c in 0..<columns {
        output[r * columns + c] = scalar(
          op, a[r * aRowStride + c * aColumnStride], b[r * bRowStride + c * bColumnStride])
      }
    }
  }

  func scalar(_ op: Binary, _ a: Float, _ b: Float) -> Float {
    switch op {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .power: powf(a, b)
    case .minimum: a < b || a.isNaN ? a : b
    case .maximum: a > b || a.isNaN ? a : b
    case .remainder: fmodf(a, b)
    case .prelu: a < 0 ? a * b : a
    }
  }

  func scalar(_ op: Unary, _ x: Float) -> Float {
    switch op {
    case .relu: x < 0 ? 0 : x
    case .clip(let low, let high): x < low ? low : x > high ? high : x
    case .leakyRelu(let slope): x < 0 ? x * slope : x
    case .elu(let alpha): x < 0 ? alpha * expm1f(x) : x
    case .selu(let alpha, let gamma): gamma * (x < 0 ? alpha * expm1f(x) : x)
    case .celu(let alpha): x < 0 ? alpha * expm1f(x / alpha) : x
    case .thresholdedRelu(let alpha): x > alpha ? x : 0
    case .sigmoid: 1 / (1 + expf(-x))
    case .hardSigmoid(let alpha, let beta): Swift.max(0, Swift.min(1, alpha * x + beta))
    case .hardSwish: x * Swift.max(0, Swift.min(1, x / 6 + 0.5))
    case .silu: x / (1 + expf(-x))
    case .mish: x * tanhf(scalar(.softplus, x))
    case .gelu: 0.5 * x * (1 + erff(x * 0.70710678))
    case .geluTanh: 0.5 * x * (1 + tanhf(0.79788456 * (x + 0.044715 * x * x * x)))
    case .softplus: Swift.max(x, 0) + log1pf(expf(-Swift.abs(x)))
    case .softsign: x / (1 + Swift.abs(x))
    case .tanh: tanhf(x)
    case .erf: erff(x)
    case .exp: expf(x)
    case .log: logf(x)
    case .sqrt: x.squareRoot()
    case .reciprocal: 1 / x
    case .negate: -x
    case .abs: Swift.abs(x)
    case .sign: x > 0 ? 1 : x < 0 ? -1 : x
    case .floor: x.rounded(.down)
    case .ceil: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .sin: sinf(x)
    case .cos: cosf(x)
    case .tan: tanf(x)
    case .asin: asinf(x)
    case .acos: acosf(x)
    case .atan: atanf(x)
    case .sinh: sinhf(x)
    case .cosh: coshf(x)
    case .asinh: asinhf(x)
    case .acosh: acoshf(x)
    case .atanh: atanhf(x)
    }
  }
}
