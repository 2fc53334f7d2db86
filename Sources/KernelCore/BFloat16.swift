/// The loops over weights in bfloat16 of one instruction set. Where float32 has a channel, a word has two neighbouring
/// ones, so a block is what it is in float32, with half as many channels (rounded up) and `Lanes.fma` adding two
/// products.
public struct BFloat16Table: Sendable {
  public let multiply: @Sendable (_ block: Block, _ first: Int, _ end: Int) -> Void
  /// Rounds `count` floats to half as many words (rounded up).
  public let round: @Sendable (_ x: UnsafePointer<Float>, _ words: UnsafeMutablePointer<Float>, _ count: Int) -> Void

  @inlinable @inline(__always)
  public init<L: BFloat16Lanes>(_: L.Type) {
    multiply = { L.multiply($0, from: $1, to: $2) }
    round = { L.round($0, $1, $2) }
  }
}

/// Lanes of words; only sums have the lanes of a vector of floats.
public protocol BFloat16Lanes: Lanes {
  static func round(_ x: UnsafePointer<Float>, _ words: UnsafeMutablePointer<Float>, _ count: Int)
}
