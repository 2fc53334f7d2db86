// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// DeformConv (Dai et al. 2017; with a mask, Zhu et al. 2019): each tap of each window reads the image at a place of
/// its own, between pixels. Written as GridSample, which reads there, and a convolution of what was read by as many
/// taps.
extension Lowering {
  static let deformableRules: [String: Rule] = ["DeformConv": deformable]

  /// Inputs: x [N, C, H, W], weights [outputs, C ÷ groups, height, width], offsets [N, offset groups × taps × 2, rows,
  /// columns], of each tap first down, then to the right; bias; a factor for each tap, as the offsets without the 2.
  private static func deformable(_ lowering: inout Lowering, _ node: Node) throws {
    let (x, offsets) = (try lowering.input(node, 0), try lowering.input(node, 2))
    guard let w = lowering.weightShape(try lowering.input(node, 1)) else {
      throw Failure(.unsupported, "weights of which the shape depends on what is fed are not supported")
    }
    let (groups, offsetGroups) = (try node.int("group", default: 1), try node.int("offset_group", default: 1))
    guard w.rank == 4, w.count > 0, groups > 0, groups <= w[0], offsetGroups > 0, w[1] * groups % offsetGroups == 0,
      w[2] * w[3] <= 1 << 12
    else {
      throw Failure(
        .unsupported, "weights \(w), group \(groups) and offset_group \(offsetGroups); supported: two spatial axes")
    }
    let taps = w[2] * w[3]
    let extents = try lowering.slice(lowering.emit("Shape", [offsets]), 2, 4, axis: 0)
    func shape(_ first: [Int], _ then: ValueID, _ last: [Int] = []) throws -> ValueID {
      let parts = [try lowering.constant(first), then] + (last.isEmpty ? [] : [try lowering.constant(last)])
      return lowering.emit("Concat", parts, ["axis": .int(0)])
    }
    // [N × offset groups, taps, 2, rows, columns]
    let apart = lowering.emit("Reshape", [offsets, try shape([-1, taps, 2], extents)])
    let places = try [1, 0].map { try lowering.places(node, apart, along: $0, w) }
    let stacked = lowering.emit("Concat", places, ["axis": .int(-1)])
    let columnCount = try lowering.slice(extents, 1, 2, axis: 0)
    let grid = lowering.emit("Reshape", [stacked, try shape([0, -1], columnCount, [2])])
    let image = try lowering.slice(lowering.emit("Shape", [x]), 2, 4, axis: 0)
    let parts = lowering.emit("Reshape", [x, try shape([-1, w[1] * groups / offsetGroups], image)])
    var read = lowering.emit("GridSample", [parts, grid], ["pixels": .int(1)], domain: "limpid")
    if let mask = node.input(4) {
      let own = try lowering.slice(lowering.emit("Shape", [read]), 2, 4, axis: 0)
      read = lowering.emit("Mul", [read, lowering.emit("Reshape", [mask, try shape([-1, 1], own)])])
    }
    let count = lowering.emit("ReduceProd", [extents], ["keepdims": .int(1)])
    let columns = lowering.emit("Reshape", [read, try shape([-1, w[1] * groups, taps], count)])
    let weights = lowering.emit(
      "Reshape", [try lowering.input(node, 1), try lowering.constant([w[0], w[1], taps, 1])])
    let bias = node.input(3)
    let sums = lowering.emit("Conv", [columns, weights] + (bias.map { [$0] } ?? []), ["group": .int(groups)])
    lowering.emit("Reshape", [sums, try shape([-1, w[0]], extents)], to: node.output(0))
  }

  /// Where taps read along an axis, in pixels: [N × offset groups, taps, rows, columns, 1].
  private mutating func places(_ node: Node, _ offsets: ValueID, along axis: Int, _ w: Shape) throws -> ValueID {
    func number(_ key: String, _ count: Int, default value: Int) throws -> Int {
      let list = try node.ints(key) ?? [Int](repeating: value, count: count)
      guard list.count == count, list.allSatisfy({ $0 >= value && $0 <= 1 << 20 }) else {
        throw Failure(.invalidModel, "attribute \(quoted(key)) is \(list); expected \(count) numbers from \(value) on")
      }
      return list[axis]
    }
    let stride = try number("strides", 2, default: 1)
    let dilation = try number("dilations", 2, default: 1)
    let pad = try number("pads", 4, default: 0)
    let toFloat: [String: Attribute] = ["to": .int(Int(ElementType.float32.rawValue))]
    func whole(_ number: Int) throws -> ValueID { constant(try Tensor([Int64(number)], .scalar)) }
    let offset = emit("Squeeze", [try slice(offsets, axis, axis + 1, axis: 2), try constant([2])])
    // Of the first tap, then of each tap from it.
    let extent = emit("Squeeze", [try slice(emit("Shape", [offsets]), 3 + axis, 4 + axis, axis: 0)])
    let windows = emit("Range", [try whole(0), emit("Mul", [extent, try whole(stride)]), try whole(stride)])
    let firsts = emit("Reshape", [emit("Cast", [windows], toFloat), try constant(axis == 0 ? [-1, 1] : [-1])])
    let taps = (0..<w[2] * w[3]).map { Float((axis == 0 ? $0 / w[3] : $0 % w[3]) * dilation - pad) }
    let steps = constant(try Tensor(taps, [taps.count, 1, 1]))
    let place = emit("Add", [offset, emit("Add", [firsts, steps])])
    return emit("Unsqueeze", [place, try constant([-1])])
  }
}
