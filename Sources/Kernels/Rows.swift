import Glibc
public import Parallel

extension Kernels {
  public enum Reduction: Sendable, Hashable, CaseIterable {
    case sum, mean, maximum, minimum, product, sumSquare, l1, l2, logSum, logSumExp
  }

  /// Softmax (or its logarithm) over the middle axis of [outer, axis, inner].
  public func softmax(
    outer: Int, axis: Int, inner: Int, _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>,
    log: Bool, _ parallel: Parallel
  ) {
    for o in 0..<outer {
      for i in 0..<inner {
        let base = o * axis * inner + i
        var most = -Float.infinity
        for k in 0..<axis { most = scalar(.maximum, most, x[base + k * inner]) }
        var sum = 0.0
        for k in 0..<axis { sum += Glibc.exp(Double(x[base + k * inner] - most)) }
        for k in 0..<axis {
          let shifted = Double(x[base + k * inner] - most)
          output[base + k * inner] = Float(log ? shifted - Glibc.log(sum) : Glibc.exp(shifted) / sum)
        }
      }
    }
  }

  /// Reduces the middle axis of [outer, axis, inner]; output [outer, inner].
  public func reduce(
    _ op: Reduction, outer: Int, axis: Int, inner: Int, _ x: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    for o in 0..<outer {
      for i in 0..<inner {
        let base = o * axis * inner + i
        var sum = 0.0, product = 1.0, squares = 0.0, absolute = 0.0
        var most = -Float.infinity, least = Float.infinity
        for k in 0..<axis {
          let v = x[base + k * inner]
          sum += Double(v)
          product *= Double(v)
          squares += Double(v) * Double(v)
          absolute += Double(Swift.abs(v))
          most = scalar(.maximum, most, v)
          least = scalar(.minimum, least, v)
        }
        var exponentials = 0.0
        for k in 0..<axis { exponentials += Glibc.exp(Double(x[base + k * inner] - most)) }
        let result =
          switch op {
          case .sum: sum
          case .mean: sum / Double(axis)
          case .maximum: Double(most)
          case .minimum: Double(least)
          case .product: product
          case .sumSquare: squares
          case .l1: absolute
          case .l2: squares.squareRoot()
          case .logSum: Glibc.log(sum)
          case .logSumExp: Double(most) + Glibc.log(exponentials)
          }
        output[o * inner + i] = Float(result)
      }
    }
  }

  /// `(x - mean) / sqrt(variance + epsilon) * scale + shift` over each row, for layer normalisation; without
  /// `subtractMean` the mean is taken as 0 (RMS normalisation). `output` may be `x`.
  public func normalizeRows(
    rows: Int, columns: Int, _ x: UnsafePointer<Float>, scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?,
    epsilon: Float, subtractMean: Bool, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    for r in 0..<rows {
      let row = x + r * columns
      var mean = 0.0, variance = 0.0
      if subtractMean {
        for c in 0..<columns { mean += Double(row[c]) }
        mean /= Double(columns)
      }
      for c in 0..<columns { variance += (Double(row[c]) - mean) * (Double(row[c]) - mean) }
      let factor = 1 / (variance / Double(columns) + Double(epsilon)).squareRoot()
      for c in 0..<columns {
        let normal = Float((Double(row[c]) - mean) * factor)
        output[r * columns + c] = normal * (scale?[c] ?? 1) + (shift?[c] ?? 0)
      }
    }
  }

  /// `output[r, c] = x[r, c] * scale[c] + shift[c]`, for batch normalisation. `output` may be `x`.
  public func scaleColumns(
    rows: Int, columns: Int, _ x: UnsafePointer<Float>, scale: UnsafePointer<Float>,
    shift: UnsafePointer<Float>?, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    for r in 0..<rows {
      for c in 0..<columns {
        output[r * columns + c] = x[r * columns + c] * scale[c] + (shift?[c] ?? 0)
      }
    }
  }
}
