import Graph
import Kernels
import Tensors

/// Transpose: where the result can lie just as the input does, in one of the two layouts, it is a view.
enum Transpose {
  static let definitions = [
    OperatorDefinition("Transpose", plan: plan).gradient(
      .unary { e, node, dy in
        let rank = try e.shape(dy).count
        let permutation = try node.ints("perm") ?? (0..<rank).reversed()
        return try e.transpose(dy, (0..<rank).map { permutation.firstIndex(of: $0) ?? 0 })
      }
    ).local { try $0.node.ints("perm")?.first == 0 ? .image : [] }
  ]

  private static func plan(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let rank = x.shape.rank
    let permutation = try request.node.ints("perm") ?? (0..<rank).reversed()
    guard permutation.sorted() == Array(0..<rank) else {
      throw Failure(.invalidModel, "perm is \(permutation); expected each axis of \(x.shape) once")
    }
    let shape = Shape(trusted: permutation.map { x.shape[$0] })
    // Both as axes of the input, in the order in which they lie in memory.
    let source = x.layout.order(rank: rank)
    func target(_ layout: Layout) -> [Int] { layout.order(rank: rank).map { permutation[$0] } }

    let moving = { (axes: [Int]) in axes.filter { x.shape[$0] != 1 } }
    for layout in Layout.allCases where layout.fits(rank: rank) && moving(source) == moving(target(layout)) {
      return Step(viewing: 0, of: 1, in: x.layout, as: Operand(x.type, shape, layout: layout))
    }
    let places = target(.standard).map { axis in source.firstIndex(of: axis) ?? 0 }
    let physical = x.physical
    let kernels = request.kernels
    let size = x.type.byteCount
    let isEmpty = shape.count == 0
    return Step(inputs: [x.layout], outputs: [Operand(x.type, shape)]) { run in
      if isEmpty { return }
      kernels.permute(
        run.input(0, as: UInt8.self), shape: physical, permutation: places, elementSize: size,
        into: run.output(0, as: UInt8.self), run.parallel)
    }
  }
}
