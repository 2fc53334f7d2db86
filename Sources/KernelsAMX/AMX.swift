#if arch(x86_64)
  import CVectors
  public import KernelCore

  /// AVX-512 for what is done to sums, and AMX's tiles for the sums: 32 rows by 32 columns of outputs are four tiles.
  enum AMX: Lanes {
    typealias V = SIMD16<Float>
    typealias Wide = TwoTimes<OneVector<AMX>>
    @inline(__always)
    static var hasTallTiles: Bool { true }

    @inline(__always)
    static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.fused(sum, a, b) }

    /// The tiles of the thread are configured only in here, since a configuration is the thread's, not the caller's.
    @inline(__always)
    static func multiply(_ b: Block, isSplit: Bool, from first: Int, to end: Int) {
      lp_tiles_begin()
      var n = first
      while n < end {
        let width = panelWidth(b.columns &- n)
        var r = 0
        while r < b.rows {
          sum(b, isSplit, r, n, width)
          finish(b, r, n, width)
          r = r &+ 2 &* TileTable.rows
        }
        n = n &+ width
      }
      lp_tiles_end()
    }

    /// Sums of 32 rows and one panel into the scratch memory.
    @inline(__always)
    private static func sum(_ b: Block, _ isSplit: Bool, _ r: Int, _ n: Int, _ width: Int) {
      let (isTall, isWide) = (b.rows &- r > TileTable.rows, width > count)
      let half = b.taps &* b.channels &* width
      var weights = b.weights + (isSplit ? 2 : 1) &* b.taps &* b.channels &* n
      lp_tiles_zero()
      var tap = 0
      while tap < b.taps {
        let pointers = b.pointers + tap &* b.pointerStride
        let rows = pointers[0] + r &* b.channels
        let rests = isSplit ? pointers[1] + r &* b.channels : rows
        var k = 0
        while k < b.channels {
          lp_tiles_read_rows(rows + k, b.channels, isTall)
          if isSplit {
            lp_tiles_read_columns(weights + half, width, isWide)
            lp_tiles_multiply(isTall, isWide)
          }
          lp_tiles_read_columns(weights, width, isWide)
          lp_tiles_multiply(isTall, isWide)
          if isSplit {
            lp_tiles_read_rows(rests + k, b.channels, isTall)
            lp_tiles_multiply(isTall, isWide)
          }
          weights += TileTable.stepWords &* width
          k = k &+ TileTable.stepWords
        }
        tap = tap &+ 1
      }
      lp_tiles_store(b.scratch)
    }

    /// The epilogue of what lies in the scratch memory.
    @inline(__always)
    private static func finish(_ b: Block, _ r: Int, _ n: Int, _ width: Int) {
      let (low, high) = (splat(b.low), splat(b.high))
      let end = min(n &+ width, b.columns)
      var i = 0
      while i < 2 &* TileTable.rows && r &+ i < b.rows {
        var column = n
        while column < end {
          let columns = min(count, end &- column)
          let place = (r &+ i) &* b.outputStride &+ column
          var v = load(b.scratch + 2 &* TileTable.rows &* i + (column &- n))
          if let bias = b.bias { v = v + load(bias + column, first: columns) }
          if let residual = b.residual { v = v + load(residual + place, first: columns) }
          store(clamp(v, low, high), b.output + place, first: columns)
          column = column &+ count
        }
        i = i &+ 1
      }
    }
  }

  /// Only for processors with AVX-512 F, VL, BW, DQ and BF16, AMX-TILE and AMX-BF16, where the process may use tiles.
  public let tableAMX = TileTable(
    multiply: { AMX.multiply($0, isSplit: false, from: $1, to: $2) },
    multiplySplit: { AMX.multiply($0, isSplit: true, from: $1, to: $2) },
    round: { lp_round_native($0, $1, $2) }, split: { lp_split_native($0, $1, $2, $3) })
#endif
