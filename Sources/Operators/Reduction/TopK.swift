import Graph
import Parallel
import Tensors

/// TopK.
enum TopK {
  static let definitions = [OperatorDefinition("TopK", plan: plan).gradient(IndexGradients.topK)]

  private static func plan(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let rank = x.shape.rank
    let axis = try request.axis(request.node.int("axis", default: -1), rank: rank)
    guard let k = try request.node.int("k") ?? request.constant(1)?.integers().first else {
      throw Failure(.invalidModel, "k is missing")
    }
    guard k >= 0, k <= x.shape[axis] else {
      throw Failure(.invalidModel, "the \(k) first of \(x.shape[axis]) elements")
    }
    var dimensions = x.shape.dimensions
    dimensions[axis] = k
    let shape = Shape(trusted: dimensions)
    let search = Search(
      split: AxisSplit(x.shape.dimensions, axis: axis), k: k,
      isLargest: try request.node.flag("largest", default: true))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(x.type, shape), Operand(.int64, shape)],
      run: try x.type.withNumber(search))
  }

  private struct Search: NumberBody {
    let split: AxisSplit
    let k: Int
    let isLargest: Bool

    /// Equal elements come in order of their indices, NaN counts as larger than any number.
    func callAsFunction<T: Number>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [split, k, isLargest] run in
        let x: UnsafePointer<T> = run.input(0)
        let (values, indices): (UnsafeMutablePointer<T>, UnsafeMutablePointer<Int64>) = (run.output(0), run.output(1))
        run.parallel.forEach(split.outer * split.inner, grain: max(1, 1024 / max(1, split.axis))) { range in
          for row in range {
            let (outer, inner) = (row / split.inner, row % split.inner)
            let source = x + outer * split.axis * split.inner + inner
            let order = (0..<split.axis).sorted { first, second in
              let (a, b) = (source[first * split.inner], source[second * split.inner])
              let (before, after) = isLargest ? (precedes(b, a), precedes(a, b)) : (precedes(a, b), precedes(b, a))
              return before || !after && first < second
            }
            for i in 0..<k {
              let place = (outer * k + i) * split.inner + inner
              values[place] = source[order[i] * split.inner]
              indices[place] = Int64(order[i])
            }
          }
        }
      }
    }
  }

  /// A total order, also with NaN.
  @inline(__always)
  private static func precedes<T: Number>(_ a: T, _ b: T) -> Bool { a < b || a == a && b != b }
}
