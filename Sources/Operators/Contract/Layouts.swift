import Graph
import Tensors

extension Operand {
  /// Whether its elements lie in another order than ONNX's.
  var isReordered: Bool { !layout.hasBytes(of: .standard, for: shape) }

  /// Extents in memory order.
  var physical: [Int] { layout.physical(shape).dimensions }
}

/// A tensor seen as [outer, axis, inner] in memory order.
struct AxisSplit: Sendable {
  let outer: Int
  let axis: Int
  let inner: Int

  init(_ extents: [Int], axis: Int) { self.init(extents, axes: axis..<axis + 1) }

  /// Several neighbouring axes taken as one.
  init(_ extents: [Int], axes: Range<Int>) {
    outer = extents[..<axes.lowerBound].reduce(1, *)
    axis = extents[axes].reduce(1, *)
    inner = extents[axes.upperBound...].reduce(1, *)
  }
}

extension Request {
  /// The value of `axis` given by an attribute or an input, as a list of integers; nil where the model has neither.
  func integers(attribute: String, orInput index: Int) throws -> [Int]? {
    if let values = try node.ints(attribute) { return values }
    return try constant(index)?.integers()
  }

  /// Axes as models give them, in 0..<rank, each once.
  func axes(_ axes: [Int], rank: Int) throws -> [Int] {
    let result = try axes.map { try axis($0, rank: rank) }
    guard Set(result).count == result.count else {
      throw Failure(.invalidModel, "the axes \(axes) name an axis twice")
    }
    return result
  }
}
