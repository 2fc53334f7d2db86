/// An output tile in registers: rows, each with its running sums and the place that its operand is read from.
public protocol Tile {
  associatedtype Row: Sums
  static var rows: Int { get }
  /// Sums of nothing yet; reads from `pointers[0..<rows]`.
  init(_ pointers: UnsafePointer<UnsafePointer<Float>>)
  /// Reads from `pointers[0..<rows]` from now on.
  mutating func read(from pointers: UnsafePointer<UnsafePointer<Float>>)
  /// Whether all rows read from `place`.
  func reads(only place: UnsafePointer<Float>?) -> Bool
  /// Adds the product of channel `k` of each row's operand with one row of weights.
  mutating func add(_ k: Int, _ weights: UnsafePointer<Float>)
  /// Writes the sums to `totals` ([rows, columns]), in addition to what lies there or in its place.
  func keep(at totals: UnsafeMutablePointer<Float>, adding: Bool)
  /// From now on sums of nothing yet.
  mutating func clear()
  /// Adds the totals to the sums.
  mutating func take(from totals: UnsafePointer<Float>)
  /// Stores the first `rows` rows.
  func store(rows: Int, _ target: Target<Row.L>)
}

/// Where and how a tile is stored. Strides in floats.
public struct Target<L: Lanes> {
  // Constants: the initial value of an optional variable is a function call that is not inlined here.
  @usableFromInline let output: UnsafeMutablePointer<Float>
  @usableFromInline let stride: Int
  @usableFromInline let bias: UnsafePointer<Float>?
  /// Laid out as the output.
  @usableFromInline let residual: UnsafePointer<Float>?
  @usableFromInline let low: L.V
  @usableFromInline let high: L.V

  @inlinable @inline(__always)
  init(
    output: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?,
    residual: UnsafePointer<Float>?, low: L.V, high: L.V
  ) {
    self.output = output
    self.stride = stride
    self.bias = bias
    self.residual = residual
    self.low = low
    self.high = high
  }

  /// The target of the rows from `row` on.
  @inlinable @inline(__always)
  func from(row: Int) -> Self {
    Target(
      output: output + row &* stride, stride: stride, bias: bias, residual: residual.map { $0 + row &* stride },
      low: low, high: high)
  }
}

public struct TileRow<Row: Sums>: Tile {
  @usableFromInline var source: UnsafePointer<Float>
  @usableFromInline var sums: Row

  @inlinable @inline(__always)
  public static var rows: Int { 1 }

  @inlinable @inline(__always)
  public init(_ pointers: UnsafePointer<UnsafePointer<Float>>) {
    source = pointers[0]
    sums = Row()
  }

  @inlinable @inline(__always)
  public mutating func read(from pointers: UnsafePointer<UnsafePointer<Float>>) { source = pointers[0] }

  @inlinable @inline(__always)
  public func reads(only place: UnsafePointer<Float>?) -> Bool { source == place }

  @inlinable @inline(__always)
  public mutating func add(_ k: Int, _ weights: UnsafePointer<Float>) {
    sums.add(Row.L.splat(source[k]), weights)
  }

  @inlinable @inline(__always)
  public func keep(at totals: UnsafeMutablePointer<Float>, adding: Bool) {
    sums.keep(at: totals, adding: adding)
  }

  @inlinable @inline(__always)
  public mutating func clear() { sums = Row() }

  @inlinable @inline(__always)
  public mutating func take(from totals: UnsafePointer<Float>) { sums.take(from: totals) }

  @inlinable @inline(__always)
  public func store(rows: Int, _ target: Target<Row.L>) {
    guard rows > 0 else { return }
    sums.store(
      into: target.output, bias: target.bias, residual: target.residual, low: target.low, high: target.high)
  }
}

/// A tile above a tile.
public struct Stack<Top: Tile, Bottom: Tile>: Tile where Top.Row == Bottom.Row {
  public typealias Row = Top.Row
  @usableFromInline var top: Top
  @usableFromInline var bottom: Bottom

  @inlinable @inline(__always)
  public static var rows: Int { Top.rows &+ Bottom.rows }

  @inlinable @inline(__always)
  public init(_ pointers: UnsafePointer<UnsafePointer<Float>>) {
    top = Top(pointers)
    bottom = Bottom(pointers + Top.rows)
  }

  @inlinable @inline(__always)
  public mutating func read(from pointers: UnsafePointer<UnsafePointer<Float>>) {
    top.read(from: pointers)
    bottom.read(from: pointers + Top.rows)
  }

  @inlinable @inline(__always)
  public func reads(only place: UnsafePointer<Float>?) -> Bool {
    top.reads(only: place) && bottom.reads(only: place)
  }

  @inlinable @inline(__always)
  public mutating func add(_ k: Int, _ weights: UnsafePointer<Float>) {
    top.add(k, weights)
    bottom.add(k, weights)
  }

  @inlinable @inline(__always)
  public func keep(at totals: UnsafeMutablePointer<Float>, adding: Bool) {
    top.keep(at: totals, adding: adding)
    bottom.keep(at: totals + Top.rows &* Row.width, adding: adding)
  }

  @inlinable @inline(__always)
  public mutating func clear() {
    top.clear()
    bottom.clear()
  }

  @inlinable @inline(__always)
  public mutating func take(from totals: UnsafePointer<Float>) {
    top.take(from: totals)
    bottom.take(from: totals + Top.rows &* Row.width)
  }

  @inlinable @inline(__always)
  public func store(rows: Int, _ target: Target<Row.L>) {
    top.store(rows: rows, target)
    bottom.store(rows: rows &- Top.rows, target.from(row: Top.rows))
  }
}
