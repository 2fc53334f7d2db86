import Graph
import Tensors

/// Gradients of what writes elements at given indices: writing becomes reading.
enum ScatterGradients {
  static let elements = rule { node in
    let axis: [String: Attribute] = ["axis": .int(try node.int("axis", default: 0))]
    return Access(write: "ScatterElements", read: "GatherElements", attributes: axis)
  }

  static let tuples = rule { _ in Access(write: "ScatterND", read: "GatherND", attributes: [:]) }

  private static func rule(_ access: @escaping @Sendable (Node) throws -> Access) -> GradientRule {
    .emitted { e, node, gradients in
      guard let dy = gradients.first ?? nil else { return [] }
      let places = Places(access: try access(node), indices: try e.input(node, 1))
      let (x, updates) = (try e.input(node, 0), try e.input(node, 2))
      let isRead = (data: e.isActive(node, 0), updates: e.isActive(node, 2))
      let reduction = try node.string("reduction", default: "none")
      switch reduction {
      case "add": return [dy, nil, isRead.updates ? try places.read(&e, dy) : nil]
      case "mul":
        // As a product of all others, which also holds where a factor is 0.
        let data = isRead.data ? try places.write(&e, dy, updates, reduction) : nil
        return [data, nil, isRead.updates ? try products(&e, places, dy, x, updates) : nil]
      case "max", "min": return try extrema(&e, places, dy, x, updates, of: e.output(node))
      default:
        let data = isRead.data ? try places.write(&e, dy, e.zeros(like: updates)) : nil
        return [data, nil, isRead.updates ? try replaced(&e, places, dy, updates) : nil]
      }
    }
  }

  /// Where several updates met in one place, the last one is there; the others have no part in the result.
  private static func replaced(
    _ e: inout Emitter, _ places: Places, _ dy: ValueID, _ updates: ValueID
  ) throws -> ValueID {
    let shape = try e.operand(updates).shape
    let numbers = e.constant(try Tensor((0..<shape.count).map { Int64($0) }, shape))
    let blank = try e("Expand", e.constant(Tensor([Int64(-1)], .scalar)), e.constant(e.shape(dy)))
    let isLast = try e("Equal", numbers, places.read(&e, places.write(&e, blank, numbers)))
    return try e.pick(isLast, places.read(&e, dy), else: e.constant(Float(0)))
  }

  /// For each update dy times the product of what else met in its place.
  private static func products(
    _ e: inout Emitter, _ places: Places, _ dy: ValueID, _ x: ValueID, _ updates: ValueID
  ) throws -> ValueID {
    let (zero, one) = (try e.constant(Float(0)), try e.constant(Float(1)))
    let isZero = try e("Equal", updates, zero)
    let zeros = try e.pick(isZero, one, else: zero)
    let factors = try e.pick(isZero, one, else: updates)
    let product = try places.read(&e, places.write(&e, x, factors, "mul"))
    let otherZeros = try e.subtract(places.read(&e, places.write(&e, e.zeros(like: x), zeros, "add")), zeros)
    let others = try e.pick(e("Equal", otherZeros, zero), e.divide(product, factors), else: zero)
    return try e.multiply(places.read(&e, dy), others)
  }

  /// Equal extrema share, as in the reductions.
  private static func extrema(
    _ e: inout Emitter, _ places: Places, _ dy: ValueID, _ x: ValueID, _ updates: ValueID, of y: ValueID
  ) throws -> [ValueID?] {
    let (zero, one) = (try e.constant(Float(0)), try e.constant(Float(1)))
    let isData = try e.pick(e("Equal", x, y), one, else: zero)
    let isUpdate = try e.pick(e("Equal", updates, places.read(&e, y)), one, else: zero)
    let share = try e.divide(dy, places.write(&e, isData, isUpdate, "add"))
    return [try e.multiply(isData, share), nil, try e.multiply(isUpdate, places.read(&e, share))]
  }

  private struct Access {
    let write: String
    let read: String
    let attributes: [String: Attribute]
  }

  /// The places that a node's indices name.
  private struct Places {
    let access: Access
    let indices: ValueID

    func read(_ e: inout Emitter, _ data: ValueID) throws -> ValueID {
      try e(access.read, data, indices, attributes: access.attributes)
    }

    func write(
      _ e: inout Emitter, _ data: ValueID, _ updates: ValueID, _ reduction: String = "none"
    ) throws -> ValueID {
      let reduction: [String: Attribute] = reduction == "none" ? [:] : ["reduction": .string(reduction)]
      return try e(
        access.write, data, indices, updates, attributes: access.attributes.merging(reduction) { own, _ in own })
    }
  }
}
