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
  /// `keptByteCount` bytes, aligned to 64.
  public var kept: UnsafeMutableRawPointer?

  public init(
    rows: Int, depth: Int, a: UnsafePointer<Float>, aStride: Int, weights: UnsafeRawPointer,
    weightStride: Int, output: UnsafeMutablePointer<Float>, outputStride: Int, bias: UnsafePointer<Float>?,
    residual: UnsafePointer<Float>?, low: Float, high: Float,
    kept: UnsafeMutableRawPointer? = nil
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
    self.kept = kept
  }
}

extension TransposedProduct {
  /// Rows and columns of a block, and the floats of each that a pass over the block takes: a page, so that rows do
  /// not push each other out of the caches whatever their stride. The second level holds a pass, the first `nearRows`.
  @inlinable static var block: (rows: Int, nearRows: Int, columns: Int, depth: Int) { (48, 6, 32, 1024) }
  /// More rows take passes: of fewer, what passes keep in memory costs more than they save.
  @inlinable static var rowsAtOnce: Int { 12 }

  /// Rows of a block with those of tiles that stick out below.
  @inlinable static func keptRows(_ rows: Int) -> Int { min(rows, block.rows) &+ 6 }

  /// Bytes of `kept`; a vector has 64 or fewer.
  public static func keptByteCount(rows: Int, depth: Int) -> Int {
    rows <= rowsAtOnce || depth <= block.depth ? 0 : keptRows(rows) * block.columns * 64
  }
}

extension Lanes {
  /// Columns `first..<end`, block by block of rows and columns and, where there are many rows, pass by pass over their
  /// depth; between passes running vectors lie in memory. Weights come from there once for a block. Each dot product
  /// has one running vector, so it does not depend on the others of its tile.
  @inlinable @inline(__always)
  static func multiplyTransposed(_ p: TransposedProduct, from first: Int, to end: Int) {
    if p.rows == 1 {
      var n = first
      while n < end {
        transposedRow(p, 0, n, min(4, end &- n))
        n = n &+ 4
      }
      return
    }
    let block = TransposedProduct.block
    let isAtOnce = p.rows <= TransposedProduct.rowsAtOnce
    let pass = isAtOnce ? p.depth : block.depth
    var top = 0
    while top < p.rows {
      let bottom = min(top &+ block.rows, p.rows)
      var left = first
      while left < end {
        let right = isAtOnce ? end : min(left &+ block.columns, end)
        var k = 0
        repeat {
          let depth = k..<min(k &+ pass, p.depth)
          var r = top
          while r < bottom {
            let near = isAtOnce ? bottom : min(r &+ block.nearRows, bottom)
            var n = left
            while n < right {
              let place = (n &- left) &* TransposedProduct.keptRows(p.rows)
              let kept = p.kept.map { $0.assumingMemoryBound(to: V.self) + place }
              transposedRows(p, top, r..<near, n, min(4, right &- n), depth, kept, tallest: isAtOnce ? 3 : 6)
              n = n &+ 4
            }
            r = near
          }
          k = depth.upperBound
        } while k < p.depth
        left = right
      }
      top = bottom
    }
  }

  /// Some floats of four columns, for some rows of the block that begins at row `top`.
  @inlinable @inline(__always)
  static func transposedRows(
    _ p: TransposedProduct, _ top: Int, _ rows: Range<Int>, _ n: Int, _ columns: Int, _ depth: Range<Int>,
    _ kept: UnsafeMutablePointer<V>?, tallest: Int
  ) {
    typealias Three = DotStack<DotStack<DotRow<Self>, DotRow<Self>>, DotRow<Self>>
    let tallest = hasTallTiles ? tallest : 3
    // The tiles of the block share in asking for weights of the next pass, so that these come in a steady stream.
    let tiles = (min(p.rows &- top, TransposedProduct.block.rows) &+ tallest &- 1) / tallest
    let share = (3 &+ tiles) / tiles
    var r = rows.lowerBound
    while r < rows.upperBound {
      let kept = kept.map { $0 + 4 &* (r &- top) }
      let left = rows.upperBound &- r
      let first = (r &- top) / tallest &* share
      let asked = min(first, 4)..<(depth.upperBound < p.depth ? min(first &+ share, 4) : min(first, 4))
      if tallest > 3 && left > 3 {
        transposedTile(DotStack<Three, Three>.self, p, r, n, columns, depth, asked, kept)
        r = r &+ 6
      } else if left > 1 {
        transposedTile(Three.self, p, r, n, columns, depth, asked, kept)
        r = r &+ 3
      } else {
        transposedTile(DotRow<Self>.self, p, r, n, columns, depth, asked, kept)
        r = r &+ 1
      }
    }
  }

  /// `asked`: columns of which the weights of the next pass are asked for.
  @inlinable @inline(__always)
  static func transposedTile<T: DotTile>(
    _: T.Type, _ p: TransposedProduct, _ r: Int, _ n: Int, _ columns: Int, _ depth: Range<Int>,
    _ asked: Range<Int>, _ kept: UnsafeMutablePointer<V>?
  ) where T.L == Self {
    // Columns beyond the last repeat it; what comes of them is not stored.
    let w0 = p.weights + 4 &* p.weightStride &* n
    let w1 = w0 + 4 &* p.weightStride &* min(1, columns &- 1)
    let w2 = w0 + 4 &* p.weightStride &* min(2, columns &- 1)
    let w3 = w0 + 4 &* p.weightStride &* min(3, columns &- 1)
    var tile = T()
    if depth.lowerBound > 0, let kept { tile.take(from: kept) }
    var k = depth.lowerBound
    if asked.isEmpty {
      while k &+ count <= depth.upperBound {
        tile.add(p, r, k, count, transposedVectors(w0, w1, w2, w3, k, count))
        k = k &+ count
      }
    } else {
      while k &+ count <= depth.upperBound {
        var column = asked.lowerBound
        repeat {
          lp_prefetch(w0 + 4 &* (column &* p.weightStride &+ k &+ TransposedProduct.block.depth))
          column = column &+ 1
        } while column < asked.upperBound
        tile.add(p, r, k, count, transposedVectors(w0, w1, w2, w3, k, count))
        k = k &+ count
      }
    }
    let rest = depth.upperBound &- k
    if rest > 0 { tile.add(p, r, k, rest, transposedVectors(w0, w1, w2, w3, k, rest)) }
    if depth.upperBound < p.depth, let kept { tile.keep(at: kept) } else { tile.store(p, r, n, columns) }
  }

  @inlinable @inline(__always)
  static func transposedVectors(
    _ w0: UnsafeRawPointer, _ w1: UnsafeRawPointer, _ w2: UnsafeRawPointer, _ w3: UnsafeRawPointer, _ k: Int,
    _ length: Int
  ) -> (V, V, V, V) {
    (
      load(w0, at: k, first: length), load(w1, at: k, first: length), load(w2, at: k, first: length),
      load(w3, at: k, first: length)
    )
  }

  /// One row, all of its depth. As fast as memory gives weights, which are asked
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
