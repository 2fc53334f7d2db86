// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Sequences and optional values within a graph, where what they hold is known when the model is loaded: they are no
/// values of the graph then, but names for others.
extension Lowering {
  static let sequenceRules: [String: Rule] = [
    "SequenceEmpty": { $0.define($1, []) },
    "SequenceConstruct": { lowering, node in
      lowering.define(node, try node.inputs.indices.map { try lowering.input(node, $0) })
    },
    "SequenceInsert": { lowering, node in
      var parts = try lowering.sequence(node)
      let place = try lowering.place(node, 2, in: parts.count + 1) ?? parts.count
      parts.insert(try lowering.input(node, 1), at: place)
      lowering.define(node, parts)
    },
    "SequenceErase": { lowering, node in
      var parts = try lowering.sequence(node)
      guard !parts.isEmpty else { throw Failure(.invalidModel, "the sequence is empty") }
      parts.remove(at: try lowering.place(node, 1, in: parts.count) ?? parts.count - 1)
      lowering.define(node, parts)
    },
    "SequenceAt": { lowering, node in
      let parts = try lowering.sequence(node)
      guard let place = try lowering.place(node, 1, in: parts.count) else {
        throw Failure(.invalidModel, "input 1 is missing")
      }
      lowering.emit("Identity", [parts[place]], to: lowering.output(node))
    },
    "SequenceLength": { lowering, node in
      let count = lowering.constant(try Tensor([Int64(lowering.sequence(node).count)], .scalar))
      lowering.emit("Identity", [count], to: lowering.output(node))
    },
    "ConcatFromSequence": concatenation, "SplitToSequence": split,
    "Identity": { lowering, node in
      if let parts = lowering.optional(node, 0).flatMap({ lowering.sequences[$0] }) {
        lowering.define(node, parts)
      } else {
        lowering.add(node)
      }
    },
    // An optional value is a sequence of one or none.
    "Optional": { $0.define($1, $1.inputs.compactMap { $0 }) },
    "OptionalHasElement": { lowering, node in
      let parts = lowering.optional(node, 0).map { lowering.sequences[$0] ?? [$0] } ?? []
      let isThere = lowering.constant(try Tensor([UInt8(parts.isEmpty ? 0 : 1)], .bool, .scalar))
      lowering.emit("Identity", [isThere], to: lowering.output(node))
    },
    "OptionalGetElement": { lowering, node in
      let value = try lowering.input(node, 0)
      guard let inner = lowering.sequences[value].map(\.first) ?? value else {
        throw Failure(.invalidModel, "the optional value is empty")
      }
      lowering.emit("Identity", [inner], to: lowering.output(node))
    },
  ]

  private mutating func define(_ node: Node, _ parts: [ValueID]) {
    if let output = output(node) { sequences[output] = parts }
  }

  private func sequence(_ node: Node) throws -> [ValueID] {
    guard let parts = sequences[try input(node, 0)] else {
      throw Failure(.unsupported, "a sequence whose parts are not known when the model is loaded is not supported")
    }
    return parts
  }

  /// The place in a sequence that input `i` gives; nil where it is left out.
  private func place(_ node: Node, _ i: Int, in count: Int) throws -> Int? {
    guard has(node, i) else { return nil }
    guard let given = try integers(node, i)?.first else {
      throw Failure(.unsupported, "a place in a sequence that is not constant is not supported")
    }
    let (sum, overflow) = given < 0 ? given.addingReportingOverflow(count) : (given, false)
    guard !overflow, sum >= 0, sum < count else {
      throw Failure(.invalidModel, "place \(given) of a sequence of \(count)")
    }
    return sum
  }

  private static func concatenation(_ lowering: inout Lowering, _ node: Node) throws {
    var parts = try lowering.sequence(node)
    let axis = try node.int("axis") ?? 0
    if try node.flag("new_axis") {
      let axes = try lowering.constant([axis])
      parts = parts.map { lowering.emit("Unsqueeze", [$0, axes]) }
    }
    lowering.emit("Concat", parts, ["axis": .int(axis)], to: lowering.output(node))
  }

  private static func split(_ lowering: inout Lowering, _ node: Node) throws {
    guard let sizes = lowering.optional(node, 1), let tensor = lowering.graph.constants[sizes], tensor.shape.rank == 1,
      tensor.count <= 1 << 12
    else {
      throw Failure(.unsupported, "it is supported with a constant list of sizes")
    }
    let axis = Attribute.int(try node.int("axis", default: 0))
    let parts = lowering.emit("Split", [try lowering.input(node, 0), sizes], ["axis": axis], outputs: tensor.count)
    lowering.define(node, parts)
  }
}
