public import CVectors

/// A product with a transposed matrix: `output[r, n] = clamp(dot(a[r], weights[n]) + bias[n] + residual[r, n])`.
public struct TransposedProduct {
  public var rows, depth: Int
  public var a: UnsafePointer<Float>
  public var aStride: Int
  /// The floats of one column after the other, at any address.
  public var weights: UnsafeRawPointer
  /// From one column to the next.
  public var weightStride: Int
  public var output: UnsafeMutablePointer<Float>
  public var outputStride: Int
  public var bias: UnsafePointer<Float>?
  /// Laid out as the output.
  public var residual: UnsafePointer<Float>?
  public var low, high: Float

  public init(
    rows: Int, depth: Int, a: UnsafePointer<Float>, aStride: Int, weights: UnsafeRawPointer,
    weightStride: Int, output: UnsafeMutablePointer<Float>, outputStride: Int, bias: UnsafePointer<Float>?,
    residual: UnsafePointer<Float>?, low: Float, high: Float
  ) {
    self.rows = rows
    self.depth = depth
    self.a = a
    self.aStride = aStride
    self.weights = weights
    self.weightStride = weightStride
    self.output = output
    self.outputStride = outputStride
    self.bias = bias
    self.residual = residual
    self.low = low
    self.high = high
  }
}

extension Lanes {
  /// Columns `first..<end`, in tiles of three rows, or one, and four columns. Weights are read from memory once for
  /// three rows; each dot product has one running vector, so it does not depend on the others of its tile.
  @inlinable @inline(__always)
  static func multiplyTransposed(_ p: TransposedProduct, from first: Int, to end: Int) {
    var n = first
    while n < end {
      let columns = min(4, end &- n)
      var r = 0
      while r &+ 1 < p.rows {
        transposedTile(p, r, n, columns)
        r = r &+ 3
      }
      if r < p.rows { transposedRow(p, r, n, columns) }
      n = n &+ columns
    }
  }

  @inlinable @inline(__always)
  static func transposedTile(_ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int) {
    // Rows and columns beyond the last repeat it; what comes of them is not stored.
    let a0 = UnsafeRawPointer(p.a + r &* p.aStride)
    let a1 = UnsafeRawPointer(p.a + min(r &+ 1, p.rows &- 1) &* p.aStride)
    let a2 = UnsafeRawPointer(p.a + min(r &+ 2, p.rows &- 1) &* p.aStride)
    let w0 = p.weights + 4 &* p.weightStride &* n
    let w1 = w0 + 4 &* p.weightStride &* min(1, columns &- 1)
    let w2 = w0 + 4 &* p.weightStride &* min(2, columns &- 1)
    let w3 = w0 + 4 &* p.weightStride &* min(3, columns &- 1)
    var row0 = FourSums<Self>()
    var row1 = FourSums<Self>()
    var row2 = FourSums<Self>()
    var k = 0
    while k &+ count <= p.depth {
      let v0 = load(w0, at: k, first: count)
      let v1 = load(w1, at: k, first: count)
      let v2 = load(w2, at: k, first: count)
      let v3 = load(w3, at: k, first: count)
      row0.add(load(a0, at: k, first: count), v0, v1, v2, v3)
      row1.add(load(a1, at: k, first: count), v0, v1, v2, v3)
      row2.add(load(a2, at: k, first: count), v0, v1, v2, v3)
      k = k &+ count
    }
    let rest = p.depth &- k
    if rest > 0 {
      let v0 = load(w0, at: k, first: rest)
      let v1 = load(w1, at: k, first: rest)
      let v2 = load(w2, at: k, first: rest)
      let v3 = load(w3, at: k, first: rest)
      row0.add(load(a0, at: k, first: rest), v0, v1, v2, v3)
      row1.add(load(a1, at: k, first: rest), v0, v1, v2, v3)
      row2.add(load(a2, at: k, first: rest), v0, v1, v2, v3)
    }
    store(row0, p, r, n, columns)
    store(row1, p, r &+ 1, n, columns)
    store(row2, p, r &+ 2, n, columns)
  }

  /// One row: as `transposedTile`, without rows whose sums nobody wants. As fast as memory gives weights, which are asked
  /// for ahead, since the processor itself asks for nothing beyond the page that it reads, and are read once.
  @inlinable @inline(__always)
  static func transposedRow(_ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int) {
    let a = UnsafeRawPointer(p.a + r &* p.aStride)
    let w0 = p.weights + 4 &* p.weightStride &* n
    let w1 = w0 + 4 &* p.weightStride &* min(1, columns &- 1)
    let w2 = w0 + 4 &* p.weightStride &* min(2, columns &- 1)
    let w3 = w0 + 4 &* p.weightStride &* min(3, columns &- 1)
    var sums = FourSums<Self>()
    var k = 0
    while k &+ count <= p.depth {
      let ahead = 4 &* k &+ 1024
      lp_prefetch_once(w0 + ahead)
      lp_prefetch_once(w1 + ahead)
      lp_prefetch_once(w2 + ahead)
      lp_prefetch_once(w3 + ahead)
      sums.add(
        load(a, at: k, first: count), load(w0, at: k, first: count), load(w1, at: k, first: count),
        load(w2, at: k, first: count), load(w3, at: k, first: count))
      k = k &+ count
    }
    let rest = p.depth &- k
    if rest > 0 {
      sums.add(
        load(a, at: k, first: rest), load(w0, at: k, first: rest), load(w1, at: k, first: rest),
        load(w2, at: k, first: rest), load(w3, at: k, first: rest))
    }
    store(sums, p, r, n, columns)
  }

  /// Adds up the lanes, and stores the first `columns` of row `r` from column `n` on.
  @inlinable @inline(__always)
  static func store(_ sums: FourSums<Self>, _ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int) {
    guard r < p.rows else { return }
    for i in 0..<columns {
      var sum = V.sum(sums[i])
      let place = r &* p.outputStride &+ n &+ i
      if let bias = p.bias { sum += bias[n &+ i] }
      if let residual = p.residual { sum += residual[place] }
      p.output[place] = sum < p.low ? p.low : sum > p.high ? p.high : sum
    }
  }

  /// The first `n` lanes of the vector that starts at float `k`.
  @inlinable @inline(__always)
  static func load(_ p: UnsafeRawPointer, at k: Int, first n: Int) -> V {
    if n == count { return p.loadUnaligned(fromByteOffset: 4 &* k, as: V.self) }
    var v = splat(0)
    var i = 0
    while i < n {
      v[i] = p.loadUnaligned(fromByteOffset: 4 &* (k &+ i), as: Float.self)
      i = i &+ 1
    }
    return v
  }
}
