import Glibc
import KernelCore
public import Parallel

extension Kernels {
  public enum Reduction: Sendable, Hashable, CaseIterable {
    case sum, mean, maximum, minimum, product, sumSquare, l1, l2, logSum, logSumExp
  }

  /// Reduces the middle axis of [outer, axis, inner]; output [outer, inner]. `maximum` and `minimum` are NaN where
  /// an element is.
  public func reduce(
    _ op: Reduction, outer: Int, axis: Int, inner: Int, _ x: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    if op == .logSumExp {
      return logSumExp(outer: outer, axis: axis, inner: inner, x, into: output, parallel)
    }
    if inner == 1 {
      parallel.forEach(outer, grain: Self.elementGrain / max(1, axis)) { rows in
        for row in rows { output[row] = table.reduceRow(op.function, x + row * axis, axis) }
      }
    } else {
      // Neighbouring columns that make a task: enough of them to read memory in long runs.
      let width = max(64, Self.elementGrain / max(1, axis))
      let chunks = (inner + width - 1) / width
      parallel.forEach(outer * chunks) { tasks in
        for task in tasks {
          let first = task % chunks * width
          let o = task / chunks
          table.reduceColumns(
            op.function, x + (o * axis * inner + first), axis, inner, output + (o * inner + first),
            min(width, inner - first))
        }
      }
    }
    if op.isFinished { return }
    for i in 0..<outer * inner { output[i] = op.finish(output[i], axis) }
  }

  private func logSumExp(
    outer: Int, axis: Int, inner: Int, _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>,
    _ parallel: Parallel
  ) {
    reduce(.maximum, outer: outer, axis: axis, inner: inner, x, into: output, parallel)
    parallel.forEach(outer * inner, grain: max(1, Self.elementGrain / 16 / max(1, axis))) { range in
      for i in range {
        let column = x + (i / inner * axis * inner + i % inner)
        let most = output[i]
        // Where all are -∞, or the largest is ∞, that is the result.
        guard most.isFinite else { continue }
        var sum: Float = 0
        for k in 0..<axis { sum += expf(column[k * inner] - most) }
        output[i] = most + logf(sum)
      }
    }
  }
}

extension Kernels.Reduction {
  fileprivate var function: ReductionFunction {
    switch self {
    case .sum, .mean, .logSum: .sum
    case .sumSquare, .l2: .sumOfSquares
    case .l1: .sumOfMagnitudes
    case .maximum, .logSumExp: .maximum
    case .minimum: .minimum
    case .product: .product
    }
  }

  /// Whether `finish` changes nothing.
  fileprivate var isFinished: Bool { ![.mean, .l2, .logSum].contains(self) }

  fileprivate func finish(_ x: Float, _ count: Int) -> Float {
    switch self {
    case .mean: x / Float(count)
    case .l2: x.squareRoot()
    case .logSum: logf(x)
    default: x
    }
  }
}
