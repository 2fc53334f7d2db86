import Graph
import Tensors

/// Gradients of what reads elements at given indices: reading becomes adding to zeros.
enum IndexGradients {
  /// What was taken several times gets the sum.
  static let gather = GradientRule.unary { e, node, dy in
    let (x, indices) = (try e.input(node, 0), try e.input(node, 1))
    let (shape, chosen) = (try e.shape(x), try e.operand(indices))
    let axis = try e.request(node).axis(node.int("axis", default: 0), rank: shape.count)
    let (before, after) = (Array(shape[..<axis]), Array(shape[(axis + 1)...]))
    let joined = try e.reshape(dy, before + [chosen.shape.count] + after)
    if let known = try chosen.constant?.integers() {
      let places = try known.map { try Self.place($0, below: shape[axis]) }
      let choices = shape.indices.map { $0 == axis ? places : nil }
      return try e.scattering(choices, joined, to: shape)
    }
    // The indexed axis first: then each index names a block.
    let order = [axis] + shape.indices.filter { $0 != axis }
    let tuples = try e.reshape(indices, [chosen.shape.count, 1])
    let zeros = try e.zeros(of: order.map { shape[$0] })
    let sum = try e("ScatterND", zeros, tuples, e.transpose(joined, order), attributes: ["reduction": .string("add")])
    return try e.transpose(sum, shape.indices.map { order.firstIndex(of: $0) ?? 0 })
  }

  private static func place(_ index: Int, below extent: Int) throws -> Int {
    guard index >= -extent, index < extent else {
      throw Failure(.invalidModel, "index \(index) is outside of an axis of extent \(extent)")
    }
    return index < 0 ? index + extent : index
  }

  static let gatherElements = GradientRule.unary { e, node, dy in
    try addElements(&e, dy, at: e.input(node, 1), like: e.input(node, 0), axis: node.int("axis", default: 0))
  }

  private static func addElements(
    _ e: inout Emitter, _ dy: ValueID, at indices: ValueID, like x: ValueID, axis: Int
  ) throws -> ValueID {
    try e(
      "ScatterElements", e.zeros(like: x), indices, dy,
      attributes: ["axis": .int(axis), "reduction": .string("add")])
  }

  static let gatherND = GradientRule.unary { e, node, dy in
    let (x, indices) = (try e.input(node, 0), try e.input(node, 1))
    let tuples = try e.tuples(indices, batchAxes: node.int("batch_dims", default: 0))
    return try e("ScatterND", e.zeros(like: x), tuples, dy, attributes: ["reduction": .string("add")])
  }

  static let topK = GradientRule.unary { e, node, dy in
    let x = try e.input(node, 0)
    let indices = try node.output(1) ?? e.add("TopK", node.inputs, outputs: 2, attributes: node.attributes)[1]
    return try addElements(&e, dy, at: indices, like: x, axis: node.int("axis", default: -1))
  }
}

extension Emitter {
  /// Indices of GatherND with the numbers of their batches before them, as ScatterND wants them.
  fileprivate mutating func tuples(_ indices: ValueID, batchAxes: Int) throws -> ValueID {
    guard batchAxes > 0 else { return indices }
    let shape = try shape(indices)
    var parts: [ValueID] = []
    for axis in 0..<batchAxes {
      let extents = shape.indices.map { $0 == axis ? shape[axis] : 1 }
      let numbers = constant(try Tensor((0..<shape[axis]).map { Int64($0) }, Shape(trusted: extents)))
      parts.append(try expand(numbers, shape.dropLast() + [1]))
    }
    parts.append(try self("Cast", indices, attributes: ["to": .int(Int(ElementType.int64.rawValue))]))
    return try add("Concat", parts, outputs: 1, attributes: ["axis": .int(-1)])[0]
  }
}
