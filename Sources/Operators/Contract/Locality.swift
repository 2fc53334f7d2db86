/// What an element of a result depends on, where the operands are [N, C, rows, columns], or are broadcast to that.
public struct Locality: OptionSet, Sendable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Only on what the operands have at its row and column, in whichever channel.
  public static let pixel = Locality(rawValue: 1)
  /// Only on what the operands have in its channel, at whichever row and column; where the result is [N, C, …] too.
  public static let channel = Locality(rawValue: 2)
}
