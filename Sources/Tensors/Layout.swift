/// How the elements of a value lie in memory.
public enum Layout: Int, Sendable, Hashable, CaseIterable {
  /// ONNX order: the last axis is contiguous.
  case standard = 0
  /// Axis 1 (channels) moved last: [N, C, H, W] lies as [N, H, W, C].
  case channelsLast = 1
  /// Axes 1 and 2 moved last: [N, G, C, H, W] lies as [N, H, W, G, C]. What channels-last values become when a model
  /// cuts their channels into groups (split attention, channel shuffles).
  case groupedChannelsLast = 2

  /// How many axes, from axis 1, are moved behind the others.
  private var moved: Int { rawValue }

  /// Whether values of this rank can lie so.
  public func fits(rank: Int) -> Bool { self == .standard || rank >= moved + 2 }

  /// The ONNX axes of a value of rank `rank`, in memory order.
  public func order(rank: Int) -> [Int] {
    guard self != .standard, fits(rank: rank) else { return Array(0..<rank) }
    return [0] + Array(1 + moved..<rank) + Array(1...moved)
  }

  /// The extents in memory order of a value whose ONNX shape is `shape`.
  public func physical(_ shape: Shape) -> Shape {
    Shape(trusted: order(rank: shape.rank).map { shape[$0] })
  }

  /// Where ONNX axis `axis` of a value of rank `rank` lies in memory order.
  public func physicalAxis(_ axis: Int, rank: Int) -> Int {
    guard self != .standard, fits(rank: rank), axis > 0 else { return axis }
    return axis <= moved ? rank - 1 - moved + axis : axis - moved
  }

  /// Whether a value of this shape has the same bytes in this layout and in `other`.
  public func hasBytes(of other: Layout, for shape: Shape) -> Bool {
    if self == other || shape.count == 0 { return true }
    func moving(_ layout: Layout) -> [Int] { layout.order(rank: shape.rank).filter { shape[$0] != 1 } }
    return moving(self) == moving(other)
  }
}
