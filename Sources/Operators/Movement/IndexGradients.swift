import Graph
import Tensors

/// Gradients of what reads or writes elements at given indices: reading becomes adding to zeros, writing becomes
/// reading.
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

  /// Where several updates met in one place, the last one is there; the others have no part in the result.
  static let scatterElements = scatter { e, node, indices, values in
    let axis: [String: Attribute] = ["axis": .int(try node.int("axis", default: 0))]
    return (
      { e, data, updates in try e("ScatterElements", data, indices, updates, attributes: axis) },
      { e, data in try e("GatherElements", data, indices, attributes: axis) }
    )
  }

  static let scatterND = scatter { _, _, indices, _ in
    (
      { e, data, updates in try e("ScatterND", data, indices, updates) },
      { e, data in try e("GatherND", data, indices) }
    )
  }

  private typealias Write = (inout Emitter, _ data: ValueID, _ updates: ValueID) throws -> ValueID
  private typealias Read = (inout Emitter, _ data: ValueID) throws -> ValueID

  private static func scatter(
    _ access: @escaping @Sendable (inout Emitter, Node, _ indices: ValueID, _ updates: ValueID) throws -> (Write, Read)
  ) -> GradientRule {
    .emitted { e, node, gradients in
      guard let dy = gradients.first ?? nil else { return [] }
      let (indices, updates) = (try e.input(node, 1), try e.input(node, 2))
      let (write, read) = try access(&e, node, indices, updates)
      switch try node.string("reduction", default: "none") {
      case "add": return [dy, nil, try e.isActive(node, 2) ? read(&e, dy) : nil]
      case "none": break
      case let other:
        throw Failure(.unsupported, "the gradient of the reduction \(quoted(other)) is not supported")
      }
      let data = try e.isActive(node, 0) ? write(&e, dy, e.zeros(like: updates)) : nil
      guard try e.isActive(node, 2) else { return [data] }
      let shape = try e.operand(updates).shape
      let numbers = e.constant(try Tensor((0..<shape.count).map { Int64($0) }, shape))
      let blank = try e("Expand", e.constant(Tensor([Int64(-1)], .scalar)), e.constant(e.shape(dy)))
      let isLast = try e("Equal", numbers, read(&e, write(&e, blank, numbers)))
      return [data, nil, try e.pick(isLast, read(&e, dy), else: e.constant(Float(0)))]
    }
  }

  static let topK = GradientRule.unary { e, node, dy in
    let x = try e.input(node, 0)
    let indices = try e.has(output: 1, of: node)
      ? e.output(node, 1) : e.add("TopK", node.inputs, outputs: 2, attributes: node.attributes)[1]
    return try addElements(&e, dy, at: indices, like: x, axis: node.int("axis", default: -1))
  }
}

extension Emitter {
  func has(output i: Int, of node: Node) -> Bool { i < node.outputs.count && node.outputs[i] != nil }

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
