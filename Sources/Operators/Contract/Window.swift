import Graph
import Tensors

/// A window that slides over the spatial axes, as convolutions and pools declare it.
struct Window: Sendable {
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  private(set) var padBegin: [Int]
  private(set) var padEnd: [Int]
  private let padding: String

  /// Reads and checks the attributes of a window over as many axes as `kernel` has.
  init(_ node: Node, kernel: [Int]) throws {
    let rank = kernel.count
    func list(_ key: String, _ count: Int, default value: Int, from least: Int) throws -> [Int] {
      let values = try node.ints(key) ?? [Int](repeating: value, count: count)
      guard values.count == count, values.allSatisfy({ $0 >= least && $0 <= Self.limit }) else {
        throw Failure(
          .invalidModel,
          "attribute \(quoted(key)) is \(values); expected \(count) numbers from \(least) to \(Self.limit)")
      }
      return values
    }
    guard kernel.allSatisfy({ $0 >= 1 && $0 <= Self.limit }) else {
      throw Failure(.invalidModel, "a kernel of shape \(kernel); its extents must be from 1 to \(Self.limit)")
    }
    self.kernel = kernel
    strides = try list("strides", rank, default: 1, from: 1)
    dilations = try list("dilations", rank, default: 1, from: 1)
    padding = try node.string("auto_pad", default: "NOTSET")
    guard ["NOTSET", "", "SAME_UPPER", "SAME_LOWER", "VALID"].contains(padding) else {
      throw Failure(
        .invalidModel, "auto_pad is \(quoted(padding)); expected NOTSET, SAME_UPPER, SAME_LOWER or VALID")
    }
    let isExplicit = padding == "NOTSET" || padding.isEmpty
    let pads = isExplicit ? try list("pads", 2 * rank, default: 0, from: 0) : [Int](repeating: 0, count: 2 * rank)
    padBegin = Array(pads[..<rank])
    padEnd = Array(pads[rank...])
  }

  /// Bounds every number of the geometry, so that no arithmetic on it can overflow.
  private static let limit = 1 << 20

  /// The extent that the window covers along `axis`.
  func reach(_ axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }

  /// How often the window fits along each axis of the input; settles automatic padding.
  mutating func slide(over spatial: [Int], roundingUp: Bool = false) throws -> [Int] {
    try spatial.indices.map { axis in
      let extent = spatial[axis]
      guard extent >= 1, extent <= Extent.limit else {
        throw Failure(.unsupported, "a window over an axis of extent \(extent); supported: 1 to \(Extent.limit)")
      }
      let stride = strides[axis]
      if padding.hasPrefix("SAME") {
        let count = (extent + stride - 1) / stride
        let pad = max(0, (count - 1) * stride + reach(axis) - extent)
        padBegin[axis] = padding == "SAME_LOWER" ? pad - pad / 2 : pad / 2
        padEnd[axis] = pad - padBegin[axis]
        return count
      }
      let room = extent + padBegin[axis] + padEnd[axis] - reach(axis)
      // Rounded up, a window that is larger than the axis is cut, as PyTorch has it.
      guard room >= 0 || roundingUp && room > -stride else {
        throw Failure(
          .invalidModel,
          "a window of extent \(reach(axis)) does not fit into an axis of extent \(extent) padded by "
            + "\(padBegin[axis]) and \(padEnd[axis])")
      }
      guard roundingUp else { return room / stride + 1 }
      let count = (room + stride - 1) / stride + 1
      // A window must not begin in the padding behind the input.
      return (count - 1) * stride >= extent + padBegin[axis] ? count - 1 : count
    }
  }
}
