/// The numeric loops of one instruction set.
public struct KernelTable: Sendable {
  /// See `Lanes.panelWidth`.
  public let panelWidth: @Sendable (_ columnsLeft: Int) -> Int
  /// See `Lanes.multiply`.
  public let multiply: @Sendable (_ block: Block, _ first: Int, _ end: Int) -> Void

  @inlinable @inline(__always)
  public init<L: Lanes>(_: L.Type) {
    panelWidth = { L.panelWidth($0) }
    multiply = { L.multiply($0, from: $1, to: $2) }
  }
}
