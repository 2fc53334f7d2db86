// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// CenterCropPad: the middle of what is too large, zeros around what is too small. What cannot be halved is left out,
/// or added, at the end.
extension Lowering {
  static let cropRules: [String: Rule] = ["CenterCropPad": centre]

  /// Inputs: a tensor, and the extents that its axes, or some of them, are to have.
  private static func centre(_ lowering: inout Lowering, _ node: Node) throws {
    let x = try lowering.input(node, 0)
    let toInteger: [String: Attribute] = ["to": .int(Int(ElementType.int64.rawValue))]
    let wanted = lowering.emit("Cast", [try lowering.input(node, 1)], toInteger)
    let axes = try node.ints("axes").map { try lowering.constant($0) }
    let zero = lowering.constant(try Tensor([0 as Int64], .scalar))
    let two = lowering.constant(try Tensor([2 as Int64], .scalar))
    func more(_ a: ValueID, than b: ValueID) -> ValueID {
      lowering.emit("Max", [lowering.emit("Sub", [a, b]), zero])
    }
    var extents = lowering.emit("Shape", [x])
    if let axes { extents = lowering.emit("Gather", [extents, axes]) }
    let first = lowering.emit("Div", [more(extents, than: wanted), two])
    let end = lowering.emit("Add", [first, lowering.emit("Min", [extents, wanted])])
    let middle = lowering.emit("Slice", [x, first, end] + (axes.map { [$0] } ?? []))
    let missing = more(wanted, than: extents)
    let before = lowering.emit("Div", [missing, two])
    let pads = lowering.emit("Concat", [before, lowering.emit("Sub", [missing, before])], ["axis": .int(0)])
    lowering.emit("Pad", [middle, pads] + (axes.map { [nil, $0] } ?? []), to: node.output(0))
  }
}
