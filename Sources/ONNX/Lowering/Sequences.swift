// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Sequences and optional values within a graph: they are no values of the graph, but names for others.
extension Lowering {
  /// What a sequence consists of.
  enum Sequence {
    case values([ValueID])
    /// Slices of so many indices of an axis, as many as there are; of one index with the axis or without it.
    case slices(of: ValueID, axis: Int, size: Int, keepsAxis: Bool)
  }

  static let sequenceRules: [String: Rule] = [
    "SequenceEmpty": { $0.define($1, .values([])) },
    "SequenceConstruct": { lowering, node in
      lowering.define(node, .values(try node.inputs.indices.map { try lowering.input(node, $0) }))
    },
    "SequenceInsert": { lowering, node in
      var parts = try lowering.values(node)
      let place = try lowering.place(node, 2, of: parts.count, orEnd: true) ?? parts.count
      parts.insert(try lowering.input(node, 1), at: place)
      lowering.define(node, .values(parts))
    },
    "SequenceErase": { lowering, node in
      var parts = try lowering.values(node)
      guard !parts.isEmpty else { throw Failure(.invalidModel, "the sequence is empty") }
      parts.remove(at: try lowering.place(node, 1, of: parts.count) ?? parts.count - 1)
      lowering.define(node, .values(parts))
    },
    "SequenceAt": element, "SequenceLength": length, "ConcatFromSequence": concatenation, "SplitToSequence": split,
    "Identity": { lowering, node in
      if let sequence = node.input(0).flatMap({ lowering.sequences[$0] }) {
        lowering.define(node, sequence)
      } else {
        lowering.add(node)
      }
    },
    // An optional value is a sequence of one or none.
    "Optional": { $0.define($1, .values($1.inputs.compactMap { $0 })) },
    "OptionalHasElement": { lowering, node in
      var isThere = false
      if let value = node.input(0) {
        if case .values(let parts)? = lowering.sequences[value] { isThere = !parts.isEmpty } else { isThere = true }
      }
      let truth = lowering.constant(try Tensor([UInt8(isThere ? 1 : 0)], .bool, .scalar))
      lowering.emit("Identity", [truth], to: node.output(0))
    },
    "OptionalGetElement": { lowering, node in
      let value = try lowering.input(node, 0)
      let inner = lowering.sequences[value] == nil ? value : try lowering.values(node).first
      guard let inner else { throw Failure(.invalidModel, "the optional value is empty") }
      lowering.emit("Identity", [inner], to: node.output(0))
    },
  ]

  private mutating func define(_ node: Node, _ sequence: Sequence) {
    if let output = node.output(0) { sequences[output] = sequence }
  }

  private func sequence(_ node: Node) throws -> Sequence {
    guard let sequence = sequences[try input(node, 0)] else {
      throw Failure(.unsupported, "a sequence that is fed, or goes through a loop, is not supported")
    }
    return sequence
  }

  private func values(_ node: Node) throws -> [ValueID] {
    guard case .values(let parts) = try sequence(node) else {
      throw Failure(.unsupported, "a sequence of slices whose number is not known is not supported here")
    }
    return parts
  }

  /// The constant number that input `i` gives.
  private func number(_ node: Node, _ i: Int) throws -> Int {
    guard let number = try integers(node, i)?.first else {
      throw Failure(.unsupported, "a place in a sequence that is not constant is not supported")
    }
    return number
  }

  /// The place in a sequence of `count` that input `i` gives, counted from the end where negative; nil where it is left
  /// out.
  private func place(_ node: Node, _ i: Int, of count: Int, orEnd: Bool = false) throws -> Int? {
    guard node.input(i) != nil else { return nil }
    let given = try number(node, i)
    guard given >= -count, given < count || orEnd && given == count else {
      throw Failure(.invalidModel, "place \(given) of a sequence of \(count)")
    }
    return given < 0 ? given + count : given
  }

  private static func element(_ lowering: inout Lowering, _ node: Node) throws {
    switch try lowering.sequence(node) {
    case .values(let parts):
      guard let place = try lowering.place(node, 1, of: parts.count) else {
        throw Failure(.invalidModel, "input 1 is missing")
      }
      lowering.emit("Identity", [parts[place]], to: node.output(0))
    case .slices(let x, let axis, _, false):
      lowering.emit("Gather", [x, try lowering.input(node, 1)], ["axis": .int(axis)], to: node.output(0))
    case .slices(let x, let axis, let size, true):
      let place = try lowering.number(node, 1)
      guard place >= 0 || size == 1, place.magnitude <= 1 << 24 else {
        throw Failure(.unsupported, "place \(place) of slices whose number is not known is not supported")
      }
      let end = place == -1 ? Int.max : (place + 1) * size
      let part = try lowering.slice(x, place * size, end, axis: axis)
      lowering.emit("Identity", [part], to: node.output(0))
    }
  }

  private static func length(_ lowering: inout Lowering, _ node: Node) throws {
    switch try lowering.sequence(node) {
    case .values(let parts):
      let count = lowering.constant(try Tensor([Int64(parts.count)], .scalar))
      lowering.emit("Identity", [count], to: node.output(0))
    case .slices(let x, let axis, let size, _):
      func number(_ value: Int) throws -> Tensor { try Tensor([Int64(value)], .scalar) }
      let extent = lowering.emit("Gather", [lowering.emit("Shape", [x]), lowering.constant(try number(axis))])
      let rounded = lowering.emit("Add", [extent, lowering.constant(try number(size - 1))])
      lowering.emit("Div", [rounded, lowering.constant(try number(size))], to: node.output(0))
    }
  }

  private static func concatenation(_ lowering: inout Lowering, _ node: Node) throws {
    var parts = try lowering.values(node)
    let axis = try node.int("axis") ?? 0
    if try node.flag("new_axis") {
      let axes = try lowering.constant([axis])
      parts = parts.map { lowering.emit("Unsqueeze", [$0, axes]) }
    }
    lowering.emit("Concat", parts, ["axis": .int(axis)], to: node.output(0))
  }

  /// Into slices of sizes that a list gives, of one size, or of one index.
  private static func split(_ lowering: inout Lowering, _ node: Node) throws {
    let (x, axis) = (try lowering.input(node, 0), try node.int("axis", default: 0))
    guard let sizes = node.input(1) else {
      let keepsAxis = try node.flag("keepdims", default: true)
      return lowering.define(node, .slices(of: x, axis: axis, size: 1, keepsAxis: keepsAxis))
    }
    guard let shape = lowering.weightShape(sizes), shape.count <= 1 << 12 else {
      throw Failure(.unsupported, "sizes whose number depends on what is fed are not supported")
    }
    if shape.rank == 0 {
      let size = try lowering.number(node, 1)
      guard size >= 1, size <= 1 << 24 else { throw Failure(.invalidModel, "slices of \(size)") }
      return lowering.define(node, .slices(of: x, axis: axis, size: size, keepsAxis: true))
    }
    let parts = lowering.emit("Split", [x, sizes], ["axis": .int(axis)], outputs: shape.count)
    lowering.define(node, .values(parts))
  }
}
