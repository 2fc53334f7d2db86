/// Four running sums of products with a common factor.
@usableFromInline struct FourSums<L: Lanes> {
  @usableFromInline var sum0: L.V
  @usableFromInline var sum1: L.V
  @usableFromInline var sum2: L.V
  @usableFromInline var sum3: L.V

  @inlinable @inline(__always)
  init() {
    sum0 = L.splat(0)
    sum1 = L.splat(0)
    sum2 = L.splat(0)
    sum3 = L.splat(0)
  }

  @inlinable @inline(__always)
  mutating func add(_ x: L.V, _ y0: L.V, _ y1: L.V, _ y2: L.V, _ y3: L.V) {
    sum0 = L.fma(sum0, x, y0)
    sum1 = L.fma(sum1, x, y1)
    sum2 = L.fma(sum2, x, y2)
    sum3 = L.fma(sum3, x, y3)
  }

  @inlinable @inline(__always)
  subscript(i: Int) -> L.V { i == 0 ? sum0 : i == 1 ? sum1 : i == 2 ? sum2 : sum3 }
}
