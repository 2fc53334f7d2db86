// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// AffineGrid: the places between -1 and 1 of the pixels (or voxels) of a picture, moved by a matrix for each sample.
extension Lowering {
  static let gridRules: [String: Rule] = ["AffineGrid": affineGrid]

  /// Inputs: matrices [N, 2, 3] and the extents [N, C, H, W], or [N, 3, 4] and [N, C, D, H, W].
  private static func affineGrid(_ lowering: inout Lowering, _ node: Node) throws {
    let size = try lowering.input(node, 1)
    let axes = (lowering.weightShape(size)?.count ?? 4) - 2
    guard axes == 2 || axes == 3 else { throw Failure(.invalidModel, "input 1 lists \(axes + 2) extents") }
    let aligned = try node.flag("align_corners")
    let spatial = try lowering.slice(size, 2, .max, axis: 0)
    let last = try lowering.constant([-1])
    // The last axis comes first, then a 1 for what is added.
    var columns = try (0..<axes).reversed().map { axis in
      let places = try lowering.places(lowering.slice(size, 2 + axis, 3 + axis, axis: 0), aligned)
      let shape = try lowering.constant([-1] + [Int](repeating: 1, count: axes - 1 - axis))
      return lowering.emit("Expand", [lowering.emit("Reshape", [places, shape]), spatial])
    }
    columns.append(lowering.emit("ConstantOfShape", [spatial], ["value": .tensor(try Tensor([1] as [Float], [1]))]))
    let stacked = lowering.emit("Concat", columns.map { lowering.emit("Unsqueeze", [$0, last]) }, ["axis": .int(-1)])
    let rows = lowering.emit("Reshape", [stacked, try lowering.constant([-1, axes + 1])])
    let matrix = lowering.emit("Transpose", [try lowering.input(node, 0)], ["perm": .ints([0, 2, 1])])
    let shape = lowering.emit(
      "Concat", [try lowering.slice(size, 0, 1, axis: 0), spatial, try lowering.constant([axes])], ["axis": .int(0)])
    lowering.emit("Reshape", [lowering.emit("MatMul", [rows, matrix]), shape], to: node.output(0))
  }

  /// The middles of `count` equal parts of -1...1, or places from end to end.
  private mutating func places(_ count: ValueID, _ aligned: Bool) throws -> ValueID {
    let toFloat: [String: Attribute] = ["to": .int(Int(ElementType.float32.rawValue))]
    func whole(_ number: Int) throws -> Tensor { try Tensor([Int64(number)], .scalar) }
    let end = emit("Squeeze", [count])
    let indices = emit("Range", [constant(try whole(0)), end, constant(try whole(1))])
    let (one, two) = (try constant(Float(1)), try constant(Float(2)))
    let doubled = emit("Mul", [emit("Cast", [indices], toFloat), two])
    let extent = emit("Cast", [count], toFloat)
    guard aligned else {
      return emit("Sub", [emit("Div", [emit("Add", [doubled, one]), extent]), one])
    }
    return emit("Sub", [emit("Div", [doubled, emit("Max", [emit("Sub", [extent, one]), one])]), one])
  }
}
