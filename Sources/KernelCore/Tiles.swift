/// The loops over tiles of bfloat16 (AMX): 16 rows by 16 words of operands, times 16 words by 16 columns of weights.
///
/// A block is what it is for `BFloat16Table`, but where its operands lie: of each tap, the first pointer is to all rows, one
/// after another and up to a whole tile; the second, of split numbers, likewise to their rests. A row has whole steps
/// of words. Each output is summed over steps of words alone, so its bits do not depend on the other rows.
public struct TileTable: Sendable {
  /// Of a tile.
  public static var rows: Int { 16 }
  /// Words that one instruction adds up.
  public static var stepWords: Int { 16 }

  public let multiply: @Sendable (_ block: Block, _ first: Int, _ end: Int) -> Void
  /// Of split numbers, as `Packing.Numbers.splitBFloat16` lies: nearest times rest, nearest times nearest, rest times
  /// nearest.
  public let multiplySplit: @Sendable (_ block: Block, _ first: Int, _ end: Int) -> Void
  /// Rounds `count` floats, a whole number of pairs, to half as many words.
  public let round: @Sendable (_ x: UnsafePointer<Float>, _ words: UnsafeMutablePointer<Float>, _ count: Int) -> Void
  /// The same, and what that lacks.
  public let split:
    @Sendable (
      _ x: UnsafePointer<Float>, _ words: UnsafeMutablePointer<Float>, _ rests: UnsafeMutablePointer<Float>,
      _ count: Int
    ) -> Void

  public init(
    multiply: @escaping @Sendable (Block, Int, Int) -> Void,
    multiplySplit: @escaping @Sendable (Block, Int, Int) -> Void,
    round: @escaping @Sendable (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void,
    split:
      @escaping @Sendable (
        UnsafePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, Int
      ) -> Void
  ) {
    self.multiply = multiply
    self.multiplySplit = multiplySplit
    self.round = round
    self.split = split
  }
}
