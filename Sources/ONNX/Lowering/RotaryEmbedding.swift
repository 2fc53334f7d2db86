// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// RotaryEmbedding: pairs of numbers of each row are rotated, by angles that depend on where the row stands.
extension Lowering {
  static let rotaryRules: [String: Rule] = ["RotaryEmbedding": rotate]

  /// Inputs: [N, heads, rows, width] or [N, rows, heads × width]; cosines and sines [places, pairs], with the rows'
  /// places [N, rows], or [N, rows, pairs] without.
  private static func rotate(_ lowering: inout Lowering, _ node: Node) throws {
    let (heads, rotated) = (try node.int("num_heads", default: 0), try node.int("rotary_embedding_dim", default: 0))
    guard heads >= 0, rotated >= 0, rotated % 2 == 0 else {
      throw Failure(.invalidModel, "its num_heads \(heads) or rotary_embedding_dim \(rotated) is impossible")
    }
    var x = try lowering.input(node, 0)
    // Only inputs of three axes say how many heads they have.
    let isFlat = heads > 0
    if isFlat {
      let apart = lowering.emit("Reshape", [x, try lowering.constant([0, 0, heads, -1])])
      x = lowering.emit("Transpose", [apart], ["perm": .ints([0, 2, 1, 3])])
    }
    let (cosines, sines) = (try lowering.angles(node, 1), try lowering.angles(node, 2))
    let turning = rotated == 0 ? x : try lowering.slice(x, 0, rotated, axis: -1)
    let isInterleaved = try node.flag("interleaved")
    let pairs =
      isInterleaved
      ? lowering.emit("Reshape", [turning, try lowering.constant([0, 0, 0, -1, 2])]) : turning
    var halves = lowering.emit("Split", [pairs], ["axis": .int(-1), "num_outputs": .int(2)], outputs: 2)
    let last = try lowering.constant([-1])
    if isInterleaved { halves = halves.map { lowering.emit("Squeeze", [$0, last]) } }
    func product(_ a: ValueID, _ b: ValueID) -> ValueID { lowering.emit("Mul", [a, b]) }
    var turned = [
      lowering.emit("Sub", [product(cosines, halves[0]), product(sines, halves[1])]),
      lowering.emit("Add", [product(sines, halves[0]), product(cosines, halves[1])]),
    ]
    if isInterleaved { turned = turned.map { lowering.emit("Unsqueeze", [$0, last]) } }
    let toOutput = rotated == 0 && !isFlat ? node.output(0) : nil
    var y = lowering.emit("Concat", turned, ["axis": .int(-1)], to: isInterleaved ? nil : toOutput)
    if isInterleaved { y = lowering.emit("Reshape", [y, try lowering.constant([0, 0, 0, -1])], to: toOutput) }
    if rotated > 0 {
      let rest = try lowering.slice(x, rotated, .max, axis: -1)
      y = lowering.emit("Concat", [y, rest], ["axis": .int(-1)], to: isFlat ? nil : node.output(0))
    }
    if isFlat {
      let moved = lowering.emit("Transpose", [y], ["perm": .ints([0, 2, 1, 3])])
      lowering.emit("Reshape", [moved, try lowering.constant([0, 0, -1])], to: node.output(0))
    }
  }

  /// Cosines or sines of each row, the same for all heads: [N, 1, rows, pairs].
  private mutating func angles(_ node: Node, _ i: Int) throws -> ValueID {
    let given = try input(node, i)
    let rows = node.input(3).map { emit("Gather", [given, $0]) } ?? given
    return emit("Unsqueeze", [rows, try constant([1])])
  }
}
