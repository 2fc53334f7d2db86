import KernelCore
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
    /// `clamp(round(x * factor / divisor), low, high) * step` with whole bounds: quantised and back, or to other steps.
    case steps(factor: Float, divisor: Float, low: Float, high: Float, step: Float)
    case sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh
    case composed(Composition)
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
    parallel.forEach(count, grain: Self.elementGrain) { range in
      unaryRow(op, x + range.lowerBound, output + range.lowerBound, range.count)
    }
  }

  func unaryRow(_ op: Unary, _ x: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ n: Int) {
    if case .steps(let factor, let divisor, let low, let high, let step) = op {
      let form = Rounding(factor: factor, divisor: divisor, low: low, high: high, step: step)
      table.roundToSteps(form, x, output, n)
    } else if case .composed(let composition) = op {
      compose(composition, x, into: output, count: n)
    } else if let (function, a, b) = op.vectorFunction {
      table.unary(function, a, b, x, output, n, 1, 0)
    } else {
      for i in 0..<n { output[i] = op.scalar(x[i]) }
    }
  }

  /// `output[i] = low < y[i] && y[i] < high ? x[i] : 0`; `output` may be either.
  public func passWithin(
    _ low: Float, _ high: Float, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, count: Int, _ parallel: Parallel
  ) {
    parallel.forEach(count, grain: Self.elementGrain) { range in
      let first = range.lowerBound
      table.passWithin(low, high, x + first, y + first, output + first, range.count)
    }
  }

  /// `output[r, c] = op(a[r, c], b[r, c])` with `output` dense. A row stride of 0 repeats a row; a column stride is
  /// 1, or 0 to repeat one element along the row. `output` may be an operand that is dense too.
  public func binary(
    _ op: Binary, rows: Int, columns: Int, _ a: UnsafePointer<Float>, aRowStride: Int, aColumnStride: Int,
    _ b: UnsafePointer<Float>, bRowStride: Int, bColumnStride: Int, into output: UnsafeMutablePointer<Float>,
    _ parallel: Parallel
  ) {
    if columns == 1 && rows > 1 && max(aRowStride, bRowStride) <= 1 {
      return binary(
        op, rows: 1, columns: rows, a, aRowStride: 0, aColumnStride: aRowStride, b, bRowStride: 0,
        bColumnStride: bRowStride, into: output, parallel)
    }
    let isDense = aColumnStride == 1 && bColumnStride == 1 && aRowStride == columns && bRowStride == columns
    if rows == 1 || isDense {
      parallel.forEach(rows * columns, grain: Self.elementGrain) { range in
        let first = range.lowerBound
        binaryRow(
          op, a + first * aColumnStride, aColumnStride, b + first * bColumnStride, bColumnStride, output + first,
          range.count)
      }
      return
    }
    parallel.forEach(rows, grain: Self.elementGrain / max(1, columns)) { range in
      for r in range {
        binaryRow(
          op, a + r * aRowStride, aColumnStride, b + r * bRowStride, bColumnStride, output + r * columns, columns)
      }
    }
  }

  /// Elements that are worth a thread of their own.
  static var elementGrain: Int { 16 << 10 }

  func binaryRow(
    _ op: Binary, _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int,
    _ output: UnsafeMutablePointer<Float>, _ n: Int
  ) {
    if let function = op.vectorFunction {
      table.binary(function, a, aStep, b, bStep, output, n)
    } else {
      for i in 0..<n { output[i] = op.scalar(a[i * aStep], b[i * bStep]) }
    }
  }
}
