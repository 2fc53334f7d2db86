import Kernels
import Parallel
import Tensors

/// Operands of several shapes brought to one (NumPy's rules), and how to walk over them together in memory order.
struct Broadcast: Sendable {
  let shape: Shape
  /// Of the result.
  let layout: Layout
  let inputLayouts: [Layout]
  /// The axes of the result in memory order, neighbours joined where all operands allow; at least two.
  private(set) var extents: [Int] = []
  /// By operand and axis, in elements; 0 where an operand repeats.
  private(set) var strides: [[Int]] = []

  init(_ operands: [Operand]) throws {
    let shape = try Self.shape(of: operands.map(\.shape))
    let rank = shape.rank
    let layout = operands.first { $0.shape.rank == rank && $0.isReordered }?.layout ?? .standard
    self.shape = shape
    self.layout = layout
    // Operands of lower rank stay in ONNX order: [C, 1, 1] has the same bytes anyway.
    inputLayouts = operands.map { $0.shape.rank == rank ? layout : .standard }
    let order = layout.order(rank: rank)
    let perOperand = zip(operands, inputLayouts).map { operand, layout in
      let strides = Self.strides(of: operand.shape, in: layout, rank: rank)
      return order.map { strides[$0] }
    }
    collapse(order.map { shape[$0] }, perOperand)
  }

  static func shape(of shapes: [Shape]) throws -> Shape {
    let rank = shapes.map(\.rank).max() ?? 0
    var result = [Int](repeating: 1, count: rank)
    for shape in shapes {
      for (axis, extent) in zip((rank - shape.rank)..., shape.dimensions) where extent != 1 {
        guard result[axis] == 1 || result[axis] == extent else {
          let all = shapes.map(\.description).joined(separator: " and ")
          throw Failure(.invalidModel, "the shapes \(all) cannot be broadcast together")
        }
        result[axis] = extent
      }
    }
    return try Shape(checking: result)
  }

  /// Strides by ONNX axis of a result of rank `rank`.
  private static func strides(of shape: Shape, in layout: Layout, rank: Int) -> [Int] {
    let physical = layout.physical(shape).strides
    let missing = [Int](repeating: 0, count: rank - shape.rank)
    return missing
      + (0..<shape.rank).map { axis in
        shape[axis] == 1 ? 0 : physical[layout.physicalAxis(axis, rank: shape.rank)]
      }
  }

  private mutating func collapse(_ fullExtents: [Int], _ fullStrides: [[Int]]) {
    strides = fullStrides.map { _ in [] }
    for axis in fullExtents.indices.reversed() where fullExtents[axis] != 1 {
      let joins =
        !extents.isEmpty
        && fullStrides.indices.allSatisfy {
          fullStrides[$0][axis] == strides[$0][0] * extents[0]
        }
      if joins {
        extents[0] *= fullExtents[axis]
      } else {
        extents.insert(fullExtents[axis], at: 0)
        for k in strides.indices { strides[k].insert(fullStrides[k][axis], at: 0) }
      }
    }
    while extents.count < 2 {
      extents.insert(1, at: 0)
      for k in strides.indices { strides[k].insert(0, at: 0) }
    }
  }

  /// The strides of the result itself.
  var dense: [Int] { Shape(trusted: extents).strides }

  /// Whether operand `k` has the elements of the result in the same places, so that the result may overwrite it.
  func isDense(_ k: Int) -> Bool {
    zip(extents, zip(strides[k], dense)).allSatisfy { $0 == 1 || $1.0 == $1.1 }
  }

  var columns: Int { extents[extents.count - 1] }
  var rows: Int { columns == 0 ? 0 : shape.count / columns }

  /// Where row `row` (an index over all axes but the last) of an operand with these strides begins.
  func offset(ofRow row: Int, _ strides: [Int]) -> Int { offset(row, strides, axes: extents.count - 1) }

  /// Where element `index` of the result comes from in an operand with these strides.
  func offset(ofElement index: Int, _ strides: [Int]) -> Int { offset(index, strides, axes: extents.count) }

  private func offset(_ index: Int, _ strides: [Int], axes: Int) -> Int {
    var rest = index
    var offset = 0
    for axis in (0..<axes).reversed() {
      offset += rest % extents[axis] * strides[axis]
      rest /= extents[axis]
    }
    return offset
  }

  /// Calls `body` with each row; rows are spread over threads.
  func forEachRow(_ parallel: Parallel, _ body: (_ row: Int) -> Void) {
    parallel.forEach(rows, grain: max(1, 16384 / max(1, columns))) { for row in $0 { body(row) } }
  }
}
