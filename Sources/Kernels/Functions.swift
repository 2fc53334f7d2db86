import Glibc
import KernelCore

extension Kernels.Unary {
  /// The vector code and its parameters, where there is any.
  var vectorFunction: (UnaryFunction, a: Float, b: Float)? {
    switch self {
    case .relu: (.clamp, 0, .infinity)
    case .clip(let low, let high): (.clamp, low, high)
    case .leakyRelu(let slope): (.leaky, slope, 0)
    case .elu(let alpha): (.exponentialLinear, alpha, 1)
    case .selu(let alpha, let gamma): (.exponentialLinear, alpha, gamma)
    case .hardSigmoid(let alpha, let beta): (.hardSigmoid, alpha, beta)
    case .hardSwish: (.hardSwish, 0, 0)
    case .sigmoid: (.sigmoid, 0, 0)
    case .silu: (.silu, 0, 0)
    case .mish: (.mish, 0, 0)
    case .gelu: (.gelu, 0, 0)
    case .geluTanh: (.geluTanh, 0, 0)
    case .tanh: (.tanh, 0, 0)
    case .erf: (.erf, 0, 0)
    case .exp: (.exp, 0, 0)
    case .sqrt: (.sqrt, 0, 0)
    case .reciprocal: (.reciprocal, 0, 0)
    case .negate: (.negate, 0, 0)
    case .abs: (.abs, 0, 0)
    default: nil
    }
  }

  /// The others, one number at a time.
  func scalar(_ x: Float) -> Float {
    switch self {
    case .celu(let alpha): x < 0 ? alpha * expm1f(x / alpha) : x
    case .thresholdedRelu(let alpha): x > alpha ? x : 0
    case .softplus: x.isNaN ? x : Swift.max(x, 0) + log1pf(expf(-Swift.abs(x)))
    case .softsign: x / (1 + Swift.abs(x))
    case .log: logf(x)
    case .sign: x > 0 ? 1 : x < 0 ? -1 : x
    case .floor: floorf(x)
    case .ceil: ceilf(x)
    case .round: rintf(x)
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
    default: preconditionFailure("\(self) has vector code")
    }
  }
}

extension Kernels.Binary {
  var vectorFunction: BinaryFunction? {
    switch self {
    case .add: .add
    case .subtract: .subtract
    case .multiply: .multiply
    case .divide: .divide
    case .minimum: .minimum
    case .maximum: .maximum
    case .prelu: .prelu
    case .power, .remainder: nil
    }
  }

  func scalar(_ a: Float, _ b: Float) -> Float {
    switch self {
    case .power: powf(a, b)
    case .remainder: fmodf(a, b)
    default: preconditionFailure("\(self) has vector code")
    }
  }
}
