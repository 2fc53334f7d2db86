/// What the elements along one axis of a value are: a product of factors, outermost first. [N, h·w, C] has the axes
/// [batch], [row, column], [channel].
struct Axis: Sendable, Equatable {
  enum Kind: Sendable, Equatable {
    case batch, channel, row, column
    /// Positions of the image, and others before and after them: class, register and distillation tokens.
    case tokens(TokenGrid)
    /// Positions that are looked at, in attention scores.
    case key
    case unknown
  }

  struct Factor: Sendable, Equatable {
    var kind: Kind
    var extent: Int
  }

  private(set) var factors: [Factor]

  /// Factors of extent 1 say nothing; neighbours of one kind are one.
  init(_ factors: [Factor]) {
    self.factors = factors.reduce(into: []) { joined, factor in
      if factor.extent == 1 { return }
      if let last = joined.last, last.kind == factor.kind, factor.kind.isDivisible {
        joined[joined.count - 1].extent *= factor.extent
      } else {
        joined.append(factor)
      }
    }
  }

  init(_ kind: Kind, _ extent: Int) { self.init([Factor(kind: kind, extent: extent)]) }

  /// The kind of all elements; nil where factors differ, or for an axis of extent 1.
  var kind: Kind? { factors.count == 1 ? factors[0].kind : nil }

  /// Whether positions of the image lie along it, other than as keys.
  var isSpatial: Bool {
    factors.contains { factor in
      switch factor.kind {
      case .row, .column, .tokens: true
      default: false
      }
    }
  }

  /// The same axis with another extent, where all its elements are of one kind.
  func resized(to extent: Int) -> Axis {
    guard let kind, kind.isDivisible else { return Axis(.unknown, extent) }
    return Axis(kind, extent)
  }

  /// The grid of positions along it, where it is one.
  var grid: TokenGrid? {
    if case .tokens(let grid)? = kind { return grid }
    guard factors.count == 2, factors[0].kind == .row, factors[1].kind == .column else { return nil }
    return TokenGrid(rows: factors[0].extent, columns: factors[1].extent)
  }

  /// Positions as keys of attention.
  var asKeys: Axis { isSpatial ? Axis(.key, factors.reduce(1) { $0 * $1.extent }) : self }
}

extension Axis.Kind {
  fileprivate var isDivisible: Bool {
    if case .tokens = self { false } else { true }
  }
}

/// The positions of an image in one axis, row by row, with how many other tokens come before and after them.
public struct TokenGrid: Sendable, Hashable {
  public var rows: Int
  public var columns: Int
  public var before = 0
  public var after = 0

  var count: Int { before + rows * columns + after }
}

extension [Axis] {
  /// The axes after a reshape; nil where its extents cut across them.
  func reshaped(to extents: [Int]) -> [Axis]? {
    var rest = ArraySlice(flatMap(\.factors))
    var result: [Axis] = []
    for extent in extents {
      var open = extent
      var factors: [Axis.Factor] = []
      while open > 1 {
        guard let next = rest.popFirst(), next.extent > 0 else { return nil }
        if open % next.extent == 0 {
          factors.append(next)
          open /= next.extent
        } else if next.extent % open == 0, next.kind.isDivisible {
          factors.append(Axis.Factor(kind: next.kind, extent: open))
          rest = [Axis.Factor(kind: next.kind, extent: next.extent / open)] + rest
          open = 1
        } else {
          return nil
        }
      }
      result.append(Axis(factors))
    }
    return rest.isEmpty ? result : nil
  }

  var isSpatial: Bool { contains(where: \.isSpatial) }
}
