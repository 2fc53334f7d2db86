import Graph
import Tensors

/// ArgMax and ArgMin.
enum Arg {
  static let definitions = [
    OperatorDefinition("ArgMax") { try plan($0, largest: true) }.local { try $0.locality(alongAxisOr: 0) },
    OperatorDefinition("ArgMin") { try plan($0, largest: false) }.local { try $0.locality(alongAxisOr: 0) },
  ]

  private static func plan(_ request: Request, largest: Bool) throws -> Step {
    let x = try request.input(0)
    let axis = try request.axis(request.node.int("axis", default: 0), rank: x.shape.rank)
    guard x.shape[axis] > 0 else { throw Failure(.invalidModel, "axis \(axis) of the input \(x.shape) is empty") }
    let reduction = Reduction(
      x, axes: [axis], keepsAxes: try request.node.flag("keepdims", default: true), type: .int64)
    let search = Search(
      split: reduction.split, largest: largest, last: try request.node.flag("select_last_index"))
    return Step(inputs: [reduction.inputLayout], outputs: [reduction.output], run: try x.type.withNumber(search))
  }

  private struct Search: NumberBody {
    let split: AxisSplit
    let largest: Bool
    /// Whether the last of equal elements counts, not the first.
    let last: Bool

    func callAsFunction<T: Number>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [split, largest, last] run in
        let x: UnsafePointer<T> = run.input(0)
        let output: UnsafeMutablePointer<Int64> = run.output()
        for outer in 0..<split.outer {
          for inner in 0..<split.inner {
            let base = x + outer * split.axis * split.inner + inner
            var best = 0
            for k in 1..<max(1, split.axis) {
              let (value, known) = (base[k * split.inner], base[best * split.inner])
              if (largest ? value > known : value < known) || last && value == known { best = k }
            }
            output[outer * split.inner + inner] = Int64(best)
          }
        }
      }
    }
  }
}
