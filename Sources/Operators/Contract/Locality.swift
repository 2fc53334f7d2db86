import Graph
import Tensors

/// What an element of a result depends on, where the operands are [N, C, rows, columns], or are broadcast to that.
public struct Locality: OptionSet, Sendable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Only on what the operands have at its row and column, in whichever channel.
  public static let pixel = Locality(rawValue: 1)
  /// Only on what the operands have in its channel, at whichever row and column; where the result is [N, C, …] too.
  public static let channel = Locality(rawValue: 2)
  /// Only on what the operands have at its index of the first axis, where they differ along that; what the operator
  /// does with it does not depend on how many there are. Of several operands that differ so all have the result's rank.
  public static let image = Locality(rawValue: 4)

  /// Of operators that work element by element.
  public static let element: Locality = [.pixel, .channel, .image]
}

extension Request {
  /// Of an operator that works along these axes of its first operand: images stay apart where the first axis is none.
  func locality(along axes: [Int]) throws -> Locality { axes.contains(0) ? [] : .image }

  /// The same with the axis that the node names.
  func locality(alongAxisOr fallback: Int) throws -> Locality {
    try locality(along: [axis(node.int("axis", default: fallback), rank: max(1, input(0).shape.rank))])
  }

  /// Of an operator whose second operand is a weight.
  var localityOfWeighted: Locality { inputs.count > 1 && inputs[1]?.constant != nil ? .image : [] }
}
