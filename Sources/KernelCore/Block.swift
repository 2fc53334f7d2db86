public import CVectors

/// A block of output rows times all weights of one group: the unit that is handed to an instruction set.
///
/// `output[r, n] = clamp(sum over taps t, channels k of rows[t, r][k] * weights[t, k, n] + bias[n] + residual[r, n])`
public struct Block {
  /// Output rows.
  public var rows: Int
  /// Where each row's operand starts for each tap: [taps, pointerStride], readable up to
  /// `rows + Block.overrun` in each tap.
  public var pointers: UnsafePointer<UnsafePointer<Float>>
  public var pointerStride: Int
  /// What pointers to padding are equal to: a tap that is padding for a whole tile is skipped.
  public var zeros: UnsafePointer<Float>?
  public var taps: Int
  public var channels: Int
  /// Summands that are added one to another; the sums of such runs are added to a total. Of n summands of a kind,
  /// rounding grows with n in one chain, with (n² / run + n · run)^½ in runs.
  public var run: Int
  /// Packed panels.
  public var weights: UnsafePointer<Float>
  /// All columns of the packed matrix.
  public var columns: Int
  public var output: UnsafeMutablePointer<Float>
  public var outputStride: Int
  public var bias: UnsafePointer<Float>?
  /// Laid out as the output.
  public var residual: UnsafePointer<Float>?
  public var low: Float
  public var high: Float
  /// `Block.scratchCount` floats: for tiles that stick out on the right, then for totals.
  public var scratch: UnsafeMutablePointer<Float>

  /// Row pointers read beyond the last row.
  public static var overrun: Int { 3 }
  /// Room for output, residual and totals of the tallest and widest tile, and for one row of bias; or for the 32 rows by
  /// 32 columns of `TileTable`.
  public static var scratchCount: Int { max(totalsOffset + 13 * 32, 32 * 32) }
  @inlinable static var totalsOffset: Int { 2 * 13 * 32 + 32 }

  public init(
    rows: Int, pointers: UnsafePointer<UnsafePointer<Float>>, pointerStride: Int, zeros: UnsafePointer<Float>?,
    taps: Int, channels: Int, run: Int, weights: UnsafePointer<Float>, columns: Int,
    output: UnsafeMutablePointer<Float>,
    outputStride: Int, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?, low: Float, high: Float,
    scratch: UnsafeMutablePointer<Float>
  ) {
    self.rows = rows
    self.pointers = pointers
    self.pointerStride = pointerStride
    self.zeros = zeros
    self.taps = taps
    self.channels = channels
    self.run = run
    self.weights = weights
    self.columns = columns
    self.output = output
    self.outputStride = outputStride
    self.bias = bias
    self.residual = residual
    self.low = low
    self.high = high
    self.scratch = scratch
  }
}

extension Lanes {
  /// The width of the panel that starts where `left` columns are left: the narrowest that covers them, or the widest.
  @inlinable @inline(__always)
  public static func panelWidth(_ left: Int) -> Int {
    var width = count
    while width < left && width < Wide.width { width = width &* 2 }
    return width
  }

  /// Computes the columns from `first` (the start of a panel) to `end` (the end of one, or of the matrix).
  @inlinable @inline(__always)
  static func multiply(_ b: Block, from first: Int, to end: Int) {
    var n = first
    while n < end {
      let width = panelWidth(b.columns &- n)
      if b.rows == 1, b.taps == 1, n &+ 4 &* Wide.width <= end {
        fourPanels(b, n)
        n = n &+ 4 &* Wide.width
        continue
      }
      if width == Wide.width {
        panel(Wide.self, b, n)
      } else {
        panel(OneVector<Self>.self, b, n)
      }
      n = n &+ width
    }
  }

  /// The only row of four wide panels, with one tap: a tile of one row would wait for each of its sums, four side by
  /// side do not. Sums and totals are those of tiles.
  @inlinable @inline(__always)
  static func fourPanels(_ b: Block, _ n: Int) {
    let (depth, x, totals) = (b.channels, b.pointers[0], b.scratch + Block.totalsOffset)
    let width = Wide.width
    let run = min(b.run, depth)
    var k = 0
    var weights = b.weights + depth &* n
    while true {
      let last = min(k &+ run, depth)
      let isFirst = k == 0
      var (first, second, third, fourth) = (Wide(), Wide(), Wide(), Wide())
      while k < last {
        let v = splat(x[k])
        first.add(v, weights)
        second.add(v, weights + depth &* width)
        third.add(v, weights + 2 &* depth &* width)
        fourth.add(v, weights + 3 &* depth &* width)
        weights += width
        k = k &+ 1
      }
      if last < depth {
        first.keep(at: totals, adding: !isFirst)
        second.keep(at: totals + width, adding: !isFirst)
        third.keep(at: totals + 2 &* width, adding: !isFirst)
        fourth.keep(at: totals + 3 &* width, adding: !isFirst)
        continue
      }
      if !isFirst {
        first.take(from: totals)
        second.take(from: totals + width)
        third.take(from: totals + 2 &* width)
        fourth.take(from: totals + 3 &* width)
      }
      store(first, b, n)
      store(second, b, n &+ width)
      store(third, b, n &+ 2 &* width)
      return store(fourth, b, n &+ 3 &* width)
    }
  }

  /// The sums of the only row from column `n` on.
  @inlinable @inline(__always)
  static func store(_ sums: Wide, _ b: Block, _ n: Int) {
    sums.store(
      into: b.output + n, bias: b.bias.map { $0 + n }, residual: b.residual.map { $0 + n }, low: splat(b.low),
      high: splat(b.high))
  }

  /// All rows of one panel. A few tall tiles, as registers allow, some of them a row taller where that saves a low one;
  /// then the lower ones that fit: four rows take as long as two or one, and what a tile computes beyond the last row is
  /// dropped. The first two tiles each ask for a half of the next panel, so that it does not come from memory while a
  /// tile waits: they are the tallest, which ask least often.
  @inlinable @inline(__always)
  static func panel<Row: Sums>(_: Row.Type, _ b: Block, _ n: Int) where Row.L == Self {
    typealias One = TileRow<Row>
    typealias Two = Stack<One, One>
    typealias Four = Stack<Two, Two>
    typealias Six = Stack<Four, Two>
    typealias Eight = Stack<Four, Four>
    typealias Twelve = Stack<Six, Six>
    let depth = b.taps &* b.channels
    let next = b.weights + depth &* (n &+ Row.width)
    let half = depth &* (Row.width / 2)
    var (r, ahead) = (0, Optional(next))
    while r < b.rows {
      let left = b.rows &- r
      if hasTallTiles && left > 12 && left % 12 > 0 && left % 12 <= left / 12 {
        tile(Stack<Twelve, One>.self, b, r, n, ahead)
        r = r &+ 13
      } else if hasTallTiles && (left == 7 || left == 8 || (left > 13 && left <= 16)) {
        tile(Eight.self, b, r, n, ahead)
        r = r &+ 8
      } else if hasTallTiles && left > 8 {
        tile(Twelve.self, b, r, n, ahead)
        r = r &+ 12
      } else if left == 5 || left == 6 || left > 8 {
        tile(Six.self, b, r, n, ahead)
        r = r &+ 6
      } else {
        tile(Four.self, b, r, n, ahead)
        r = r &+ 4
      }
      ahead = ahead == next ? next + half : nil
    }
  }

  /// `ahead`: weights of which a cache line is asked for with each summand.
  @inlinable @inline(__always)
  static func tile<T: Tile>(
    _: T.Type, _ b: Block, _ r: Int, _ n: Int, _ ahead: UnsafePointer<Float>?
  ) where T.Row.L == Self {
    let rows = min(T.rows, b.rows &- r)
    askForTarget(b, r, rows, n, T.Row.width)
    let sums = sum(T.self, b, r, n, ahead)
    if n &+ T.Row.width <= b.columns {
      let offset = r &* b.outputStride &+ n
      sums.store(
        rows: rows,
        Target(
          output: b.output + offset, stride: b.outputStride, bias: b.bias.map { $0 + n },
          residual: b.residual.map { $0 + offset }, low: splat(b.low), high: splat(b.high)))
    } else {
      storePart(sums, b, r, rows, n)
    }
  }

  /// Asks for where a tile goes, and for its residual, so that both are near when its sums are done: a tile has a part of
  /// many rows, which the processor does not foresee.
  @inlinable @inline(__always)
  static func askForTarget(_ b: Block, _ r: Int, _ rows: Int, _ n: Int, _ width: Int) {
    var (i, place) = (0, r &* b.outputStride &+ n)
    while i < rows {
      var column = 0
      while column < width {
        lp_prefetch_to_write(b.output + (place &+ column))
        if let residual = b.residual { lp_prefetch_near(residual + (place &+ column)) }
        column = column &+ 16
      }
      (i, place) = (i &+ 1, place &+ b.outputStride)
    }
  }

  /// All sums of a tile. Where a run ends depends on the place in the sum alone, also where a tap is skipped: the bits
  /// of an output are those of any tile.
  @inlinable @inline(__always)
  static func sum<T: Tile>(
    _: T.Type, _ b: Block, _ r: Int, _ n: Int, _ ahead: UnsafePointer<Float>?
  ) -> T where T.Row.L == Self {
    let totals = b.scratch + Block.totalsOffset
    let (tapRun, channelRun) = (max(1, b.run / max(1, b.channels)), min(b.run, b.channels))
    var (pointers, weights) = (b.pointers + r, b.weights + b.taps &* b.channels &* n)
    var ahead = ahead
    var sums = T(pointers)
    var isPadding = sums.reads(only: b.zeros)
    var hasTotals = false
    var (tapsLeft, tapsOfRun, k) = (b.taps, tapRun, 0)
    while tapsLeft > 0 {
      let last = min(k &+ channelRun, b.channels)
      if isPadding {
        weights += (last &- k) &* T.Row.width
        k = last
      } else if var next = ahead {
        while k < last {
          lp_prefetch_near(next)
          next += T.Row.width / 2
          sums.add(k, weights)
          weights += T.Row.width
          k = k &+ 1
        }
        ahead = next
      } else {
        while k < last {
          sums.add(k, weights)
          weights += T.Row.width
          k = k &+ 1
        }
      }
      var isRun = true
      if k == b.channels {
        (tapsLeft, tapsOfRun, k) = (tapsLeft &- 1, tapsOfRun &- 1, 0)
        if tapsLeft == 0 { break }
        pointers += b.pointerStride
        sums.read(from: pointers)
        isPadding = sums.reads(only: b.zeros)
        isRun = tapsOfRun == 0
      }
      if isRun {
        sums.keep(at: totals, adding: hasTotals)
        sums.clear()
        (hasTotals, tapsOfRun) = (true, tapRun)
      }
    }
    if hasTotals { sums.take(from: totals) }
    return sums
  }

  /// Stores a tile of which only the first columns exist, through the scratch memory.
  @inlinable @inline(__always)
  static func storePart<T: Tile>(_ sums: T, _ b: Block, _ r: Int, _ rows: Int, _ n: Int) where T.Row.L == Self {
    let width = T.Row.width
    let columns = b.columns &- n
    let residual = b.scratch + T.rows &* width
    let bias = residual + T.rows &* width
    if let source = b.bias { copy(source + n, bias, columns) }
    if let source = b.residual {
      for i in 0..<rows { copy(source + ((r &+ i) &* b.outputStride &+ n), residual + i &* width, columns) }
    }
    sums.store(
      rows: rows,
      Target(
        output: b.scratch, stride: width, bias: b.bias == nil ? nil : UnsafePointer(bias),
        residual: b.residual == nil ? nil : UnsafePointer(residual), low: splat(b.low), high: splat(b.high)))
    for i in 0..<rows {
      copy(b.scratch + i &* width, b.output + ((r &+ i) &* b.outputStride &+ n), columns)
    }
  }

  @inlinable @inline(__always)
  static func copy(_ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
    var i = 0
    while i < count {
      target[i] = source[i]
      i = i &+ 1
    }
  }
}
