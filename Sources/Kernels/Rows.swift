import Glibc
import KernelCore
public import Parallel

extension Kernels {
  /// Softmax (or its logarithm) over the middle axis of [outer, axis, inner]. `output` may be `x`.
  public func softmax(
    outer: Int, axis: Int, inner: Int, _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>,
    log: Bool, _ parallel: Parallel
  ) {
    guard axis > 0, inner > 0 else { return }
    if inner > 1 {
      return softmaxColumns(outer: outer, axis: axis, inner: inner, x, into: output, log: log, parallel)
    }
    parallel.forEach(outer, grain: Self.elementGrain / 4 / axis) { rows in
      for row in rows {
        let x = x + row * axis
        let output = output + row * axis
        guard log else {
          table.softmaxRow(x, output, axis)
          continue
        }
        var most = table.reduceRow(.maximum, x, axis)
        var logarithm = logf(table.sumOfExponentials(x, axis, most))
        table.binary(.subtract, x, 1, &most, 0, output, axis)
        table.binary(.subtract, output, 1, &logarithm, 0, output, axis)
      }
    }
  }

  /// The same over columns: each pass goes along the memory.
  private func softmaxColumns(
    outer: Int, axis: Int, inner: Int, _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>,
    log: Bool, _ parallel: Parallel
  ) {
    parallel.forEach(outer, grain: Self.elementGrain / 4 / (axis * inner)) { range in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * inner) { memory in
        guard let column = memory.baseAddress else { return }
        let shifted = column + inner
        for o in range {
          let x = x + o * axis * inner
          let output = output + o * axis * inner
          table.reduceColumns(.maximum, x, axis, inner, column, inner)
          for k in 0..<axis { table.binary(.subtract, x + k * inner, 1, column, 1, output + k * inner, inner) }
          if log {
            column.update(repeating: 0, count: inner)
            for k in 0..<axis {
              table.unary(.exp, 0, 0, output + k * inner, shifted, inner, 1, 0)
              table.binary(.add, column, 1, shifted, 1, column, inner)
            }
            for i in 0..<inner { column[i] = logf(column[i]) }
          } else {
            table.unary(.exp, 0, 0, output, output, axis * inner, 1, 0)
            table.reduceColumns(.sum, output, axis, inner, column, inner)
          }
          for k in 0..<axis {
            table.binary(log ? .subtract : .divide, output + k * inner, 1, column, 1, output + k * inner, inner)
          }
        }
      }
    }
  }

  /// `(x - mean) / sqrt(variance + epsilon) * scale + shift` over each row, for layer normalisation; without
  /// `subtractMean` the mean is taken as 0 (RMS normalisation). `output` may be `x`.
  public func normalizeRows(
    rows: Int, columns: Int, _ x: UnsafePointer<Float>, scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?,
    epsilon: Float, subtractMean: Bool, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    parallel.forEach(rows, grain: Self.elementGrain / max(1, columns)) { range in
      for r in range {
        table.normalizeRow(x + r * columns, output + r * columns, columns, scale, shift, epsilon, subtractMean)
      }
    }
  }

  /// `output[r, c] = activation(x[r, c] * scale[c] + shift[c])`, for batch normalisation. `x` is in parts, [rows, own
  /// columns], whose columns follow each other in the result. `output` may be the only part.
  public func scaleColumns(
    rows: Int, _ parts: [(x: UnsafePointer<Float>, columns: Int)], scale: UnsafePointer<Float>,
    shift: UnsafePointer<Float>?, _ activation: Unary? = nil, into output: UnsafeMutablePointer<Float>,
    _ parallel: Parallel
  ) {
    let columns = parts.reduce(0) { $0 + $1.columns }
    let clamp = activation?.clampRange
    // Some rows at a time, which the first-level cache still has when the activation reads them.
    let together = max(1, Self.rowFloats / max(1, columns))
    parallel.forEach(rows, grain: Self.elementGrain / max(1, columns)) { range in
      for first in stride(from: range.lowerBound, to: range.upperBound, by: together) {
        let some = first..<min(first + together, range.upperBound)
        let place = output + first * columns
        var begin = 0
        for (x, own) in parts {
          table.scaleRows(
            x + first * own, scale + begin, shift.map { $0 + begin }, place + begin, own, some.count, columns,
            clamp?.lowerBound ?? -.infinity, clamp?.upperBound ?? .infinity)
          begin += own
        }
        if let activation, clamp == nil { unaryRow(activation, place, place, some.count * columns) }
      }
    }
  }

  private static var rowFloats: Int { 4 << 10 }
}
