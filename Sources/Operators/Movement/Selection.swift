import Glibc
import Parallel
import Tensors

/// A copy in which each axis of the result takes its own choice of the source's indices along that axis: what Slice,
/// Split, Gather, Pad, Tile, Expand and nearest-neighbour Resize have in common.
struct Selection: Sendable {
  /// The axes of the result above the innermost chosen one, outermost first.
  private var outer: [Axis] = []
  /// Elements that are copied as they lie, below the innermost table.
  private var block: Int
  /// The indices of the innermost chosen axis, cut into pieces that lie together in the source.
  private var runs = [Run(position: 0, offset: 0, count: 1)]
  /// How often an element stands in a row of nothing else.
  private var copies = 1

  /// An index that takes no element of the source but the fill value.
  static let fill = -1

  private enum Axis {
    case whole(extent: Int, stride: Int)
    /// Where its indices lie in the source, in elements, or `fill`.
    case chosen([Int])

    var extent: Int {
      switch self {
      case .whole(let extent, _): extent
      case .chosen(let table): table.count
      }
    }
  }

  private struct Run {
    let position: Int
    let offset: Int
    let count: Int
  }

  /// `choices[axis]` lists indices into `source[axis]`; nil takes the axis as it is. Extents in memory order.
  init(from source: [Int], _ choices: [[Int]?]) {
    let strides = Shape(trusted: source).strides
    var axis = source.count
    block = 1
    while axis > 0, choices[axis - 1] == nil {
      axis -= 1
      block *= source[axis]
    }
    while axis > 0 {
      axis -= 1
      if let choice = choices[axis] {
        outer.append(.chosen(choice.map { $0 == Self.fill ? Self.fill : $0 * strides[axis] }))
      } else if case .whole(let extent, let stride)? = outer.last {
        outer[outer.count - 1] = .whole(extent: extent * source[axis], stride: stride)
      } else {
        outer.append(.whole(extent: source[axis], stride: strides[axis]))
      }
    }
    outer.reverse()
    // The innermost axis that is not a part of the block was chosen from.
    if case .chosen(let table)? = outer.popLast() { runs = Self.runs(of: table, block: block) }
  }

  /// A result that walks through the source by a stride along each axis, in elements, outermost first; 0 repeats what is
  /// within. Unlike a choice of as many equal indices this takes no memory.
  init(walking axes: [(extent: Int, stride: Int)]) {
    // An empty result has no rows, and the other extents, which may be any, are not multiplied.
    block = axes.contains { $0.extent == 0 } ? 0 : 1
    for (extent, stride) in axes.reversed() where block > 0 && extent != 1 {
      if outer.isEmpty, copies == 1, stride == block {
        block *= extent
      } else if outer.isEmpty, block == 1, stride == 0 {
        copies *= extent
      } else {
        outer.append(.whole(extent: extent, stride: stride))
      }
    }
    outer.reverse()
  }

  private static func runs(of table: [Int], block: Int) -> [Run] {
    var runs: [Run] = []
    var first = 0
    while first < table.count {
      let offset = table[first]
      var end = first + 1
      while end < table.count, table[end] == (offset == fill ? fill : offset + (end - first) * block) { end += 1 }
      runs.append(Run(position: first, offset: offset, count: end - first))
      first = end
    }
    return runs
  }

  /// `value` holds one element for the indices that are `fill`.
  func copy(
    _ source: UnsafeRawPointer, into output: UnsafeMutableRawPointer, elementSize: Int,
    fill value: UnsafeRawPointer? = nil, _ parallel: Parallel
  ) {
    let row = (runs.last.map { $0.position + $0.count } ?? 0) * block * copies
    let rows = outer.reduce(1) { $0 * $1.extent }
    guard row > 0, rows > 0 else { return }
    parallel.forEach(rows, grain: max(1, 16384 / row)) { range in
      for index in range {
        let target = output + index * row * elementSize
        guard let base = offset(ofRow: index) else {
          Self.fill(target, count: row, elementSize, with: value)
          continue
        }
        if copies > 1 {
          Self.fill(target, count: copies, elementSize, with: source + base * elementSize)
          continue
        }
        for run in runs {
          let place = target + run.position * block * elementSize
          if run.offset == Self.fill {
            Self.fill(place, count: run.count * block, elementSize, with: value)
          } else {
            Self.move(source + (base + run.offset) * elementSize, to: place, run.count * block * elementSize)
          }
        }
      }
    }
  }

  /// Where the source of a row begins; nil where the row is all fill.
  private func offset(ofRow index: Int) -> Int? {
    var rest = index
    var offset = 0
    for axis in outer.reversed() {
      switch axis {
      case .whole(let extent, let stride):
        offset += rest % extent * stride
        rest /= extent
      case .chosen(let table):
        let step = table[rest % table.count]
        if step == Self.fill { return nil }
        offset += step
        rest /= table.count
      }
    }
    return offset
  }

  /// memcpy is slow to call for the single elements that reversed and strided copies consist of.
  @inline(__always)
  private static func move(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ byteCount: Int) {
    switch byteCount {
    case 4: target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
    case 8: target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
    default: memcpy(target, source, byteCount)
    }
  }

  private static func fill(
    _ target: UnsafeMutableRawPointer, count: Int, _ elementSize: Int, with value: UnsafeRawPointer?
  ) {
    guard let value else { return _ = memset(target, 0, count * elementSize) }
    for i in 0..<count { move(value, to: target + i * elementSize, elementSize) }
  }
}
