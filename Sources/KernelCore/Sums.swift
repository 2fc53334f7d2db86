/// Running sums of neighbouring columns in one row of an output tile. Composed of vectors by doubling, so that
/// every width is one type and the compiler keeps all of it in registers.
public protocol Sums {
  associatedtype L: Lanes
  /// The number of columns.
  static var width: Int { get }
  init()
  /// Adds `x * weights[0..<width]`.
  mutating func add(_ x: L.V, _ weights: UnsafePointer<Float>)
  /// Writes the sums to `totals`, in addition to what lies there or in its place.
  func keep(at totals: UnsafeMutablePointer<Float>, adding: Bool)
  /// Adds the totals to the sums.
  mutating func take(from totals: UnsafePointer<Float>)
  /// Stores `clamp(sums + bias + residual)`.
  func store(
    into output: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    low: L.V, high: L.V)
}

public struct OneVector<L: Lanes>: Sums {
  @usableFromInline var sum: L.V

  @inlinable @inline(__always)
  public static var width: Int { L.count }

  @inlinable @inline(__always)
  public init() { sum = L.splat(0) }

  @inlinable @inline(__always)
  public mutating func add(_ x: L.V, _ weights: UnsafePointer<Float>) { sum = L.fma(sum, x, L.load(weights)) }

  @inlinable @inline(__always)
  public func keep(at totals: UnsafeMutablePointer<Float>, adding: Bool) {
    L.store(adding ? L.load(totals) + sum : sum, totals)
  }

  @inlinable @inline(__always)
  public mutating func take(from totals: UnsafePointer<Float>) { sum = L.load(totals) + sum }

  @inlinable @inline(__always)
  public func store(
    into output: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    low: L.V, high: L.V
  ) {
    var v = sum
    if let bias { v = v + L.load(bias) }
    if let residual { v = v + L.load(residual) }
    L.store(L.clamp(v, low, high), output)
  }
}

public struct TwoTimes<Half: Sums>: Sums {
  public typealias L = Half.L
  @usableFromInline var left: Half
  @usableFromInline var right: Half

  @inlinable @inline(__always)
  public static var width: Int { 2 &* Half.width }

  @inlinable @inline(__always)
  public init() {
    left = Half()
    right = Half()
  }

  @inlinable @inline(__always)
  public mutating func add(_ x: L.V, _ weights: UnsafePointer<Float>) {
    left.add(x, weights)
    right.add(x, weights + Half.width)
  }

  @inlinable @inline(__always)
  public func keep(at totals: UnsafeMutablePointer<Float>, adding: Bool) {
    left.keep(at: totals, adding: adding)
    right.keep(at: totals + Half.width, adding: adding)
  }

  @inlinable @inline(__always)
  public mutating func take(from totals: UnsafePointer<Float>) {
    left.take(from: totals)
    right.take(from: totals + Half.width)
  }

  @inlinable @inline(__always)
  public func store(
    into output: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    low: L.V, high: L.V
  ) {
    left.store(into: output, bias: bias, residual: residual, low: low, high: high)
    right.store(
      into: output + Half.width, bias: bias.map { $0 + Half.width }, residual: residual.map { $0 + Half.width },
      low: low, high: high)
  }
}
