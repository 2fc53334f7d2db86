/// Rows of a tile of dot products with four columns: for each row four running vectors.
@usableFromInline protocol DotTile {
  associatedtype L: Lanes
  static var rows: Int { get }
  init()
  /// Adds what `length` lanes of row `r` of the product and those below, from float `k` on, make with those of the
  /// columns. Rows beyond the last repeat it.
  mutating func add(_ p: TransposedProduct, _ r: Int, _ k: Int, _ length: Int, _ w: (L.V, L.V, L.V, L.V))
  /// What was kept; each row's vectors lie behind those of the row above.
  mutating func take(from kept: UnsafeMutablePointer<L.V>)
  func keep(at kept: UnsafeMutablePointer<L.V>)
  func store(_ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int)
}

@usableFromInline struct DotRow<L: Lanes>: DotTile {
  @usableFromInline var sums: FourSums<L>

  @inlinable @inline(__always)
  static var rows: Int { 1 }

  @inlinable @inline(__always)
  init() { sums = FourSums<L>() }

  @inlinable @inline(__always)
  mutating func add(_ p: TransposedProduct, _ r: Int, _ k: Int, _ length: Int, _ w: (L.V, L.V, L.V, L.V)) {
    let row = UnsafeRawPointer(p.a + min(r, p.rows &- 1) &* p.aStride)
    sums.add(L.load(row, at: k, first: length), w.0, w.1, w.2, w.3)
  }

  @inlinable @inline(__always)
  mutating func take(from kept: UnsafeMutablePointer<L.V>) {
    (sums.sum0, sums.sum1, sums.sum2, sums.sum3) = (kept[0], kept[1], kept[2], kept[3])
  }

  @inlinable @inline(__always)
  func keep(at kept: UnsafeMutablePointer<L.V>) {
    (kept[0], kept[1], kept[2], kept[3]) = (sums.sum0, sums.sum1, sums.sum2, sums.sum3)
  }

  @inlinable @inline(__always)
  func store(_ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int) { L.store(sums, p, r, n, columns) }
}

@usableFromInline struct DotStack<Top: DotTile, Bottom: DotTile>: DotTile where Top.L == Bottom.L {
  @usableFromInline typealias L = Top.L
  @usableFromInline var top: Top
  @usableFromInline var bottom: Bottom

  @inlinable @inline(__always)
  static var rows: Int { Top.rows &+ Bottom.rows }

  @inlinable @inline(__always)
  init() {
    top = Top()
    bottom = Bottom()
  }

  @inlinable @inline(__always)
  mutating func add(_ p: TransposedProduct, _ r: Int, _ k: Int, _ length: Int, _ w: (L.V, L.V, L.V, L.V)) {
    top.add(p, r, k, length, w)
    bottom.add(p, r &+ Top.rows, k, length, w)
  }

  @inlinable @inline(__always)
  mutating func take(from kept: UnsafeMutablePointer<L.V>) {
    top.take(from: kept)
    bottom.take(from: kept + 4 &* Top.rows)
  }

  @inlinable @inline(__always)
  func keep(at kept: UnsafeMutablePointer<L.V>) {
    top.keep(at: kept)
    bottom.keep(at: kept + 4 &* Top.rows)
  }

  @inlinable @inline(__always)
  func store(_ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int) {
    top.store(p, r, n, columns)
    bottom.store(p, r &+ Top.rows, n, columns)
  }
}
