import Graph
import Kernels
import Tensors

/// Gradients of reductions: dy spread over what was reduced, times the derivative of each element.
enum ReduceGradients {
  static func rule(_ reduction: Kernels.Reduction) -> GradientRule {
    .unary { e, node, dy in
      let x = try e.input(node, 0)
      let shape = try e.shape(x)
      let request = try e.request(node)
      let listed = try request.integers(attribute: "axes", orInput: 1) ?? []
      let isOpen = listed.isEmpty
      if isOpen, try node.flag("noop_with_empty_axes") {
        return try e.multiply(dy, derivative(&e, reduction, x, of: x, axes: []))
      }
      let axes = isOpen ? Array(shape.indices) : try request.axes(listed, rank: shape.count)
      let kept = shape.indices.map { axes.contains($0) ? 1 : shape[$0] }
      // With the reduced axes in place, everything below repeats along them.
      let (gradient, y) = (try e.reshape(dy, kept), try e.reshape(e.output(node), kept))
      switch reduction {
      case .sum: return try e.expand(gradient, shape)
      case .mean: return try e.expand(e.scaled(gradient, by: 1 / count(shape, axes)), shape)
      default: return try e.multiply(gradient, derivative(&e, reduction, x, of: y, axes: axes))
      }
    }
  }

  private static func count(_ shape: [Int], _ axes: [Int]) -> Float {
    Float(max(1, axes.reduce(1) { $0 * shape[$1] }))
  }

  /// dy/dx for each element of x; `y` has the reduced axes with extent 1.
  private static func derivative(
    _ e: inout Emitter, _ reduction: Kernels.Reduction, _ x: ValueID, of y: ValueID, axes: [Int]
  ) throws -> ValueID {
    switch reduction {
    case .sum, .mean: return try e.expand(e.constant(Float(1)), e.shape(x))
    case .maximum, .minimum:
      // Equal extrema share, as in PyTorch's amax.
      let mask = try e.pick(e("Equal", x, y), e.constant(Float(1)), else: e.constant(Float(0)))
      return try e.divide(mask, e.reduce("ReduceSum", mask, axes: axes))
    case .product:
      // The product of all others, which also holds where x is 0.
      return try othersProduct(&e, x, axes)
    case .l1: return try e("Sign", x)
    case .l2:
      let isZero = try e("Equal", y, e.constant(Float(0)))
      return try e.pick(isZero, e.constant(Float(0)), else: e.divide(x, y))
    case .sumSquare: return try e.scaled(x, by: 2)
    case .logSum: return try e.expand(e.divide(e.constant(Float(1)), e("Exp", y)), e.shape(x))
    case .logSumExp: return try e("Exp", e.subtract(x, y))
    }
  }

  /// Exclusive products from both ends, along the reduced axes taken as one.
  private static func othersProduct(_ e: inout Emitter, _ x: ValueID, _ axes: [Int]) throws -> ValueID {
    let shape = try e.shape(x)
    let order = shape.indices.filter { !axes.contains($0) } + axes
    let moved = order.map { shape[$0] }
    let count = axes.reduce(1) { $0 * shape[$1] }
    guard count <= 4096 else {
      throw Failure(.unsupported, "the gradient of a product of \(count) numbers is not supported")
    }
    let rows = try e.reshape(e.transpose(x, order), [moved.dropLast(axes.count).reduce(1, *), count])
    // [rows, count, count] with 1 in place of each number in turn.
    let identity = (0..<count * count).map { $0 / count == $0 % count }
    let mask = e.constant(try Tensor(identity.map { UInt8($0 ? 1 : 0) }, .bool, [1, count, count]))
    let table = try e.pick(mask, e.constant(Float(1)), else: e.reshape(rows, [e.shape(rows)[0], 1, count]))
    let products = try e.reshape(e.reduce("ReduceProd", table, axes: [2]), moved)
    return try e.transpose(products, order.indices.map { order.firstIndex(of: $0) ?? 0 })
  }
}
