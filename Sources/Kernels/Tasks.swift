import Glibc
import Tensors

/// An output matrix cut into tasks: blocks of rows, and chunks of columns.
struct TaskGrid {
  let rows, columns, blocks, blockRows, chunkColumns: Int
  /// Of one block: threads that have as many chunks each, and a part of the rows of each chunk that is left over.
  private let sharers: Int

  /// `rowFloats`: floats read for one row. Its operand should stay in the second-level cache while all panels of
  /// weights pass by. Blocks are alike, and as many for each of `threads`, so that rows mostly stay with one thread from
  /// step to step; but one for all where there are few, or each thread would read many weights. `chunkColumns` is given
  /// their number.
  init(rows: Int, columns: Int, rowFloats: Int, threads: Int, chunkColumns: (_ blocks: Int) -> Int) {
    self.rows = rows
    self.columns = columns
    let most = max(2, min(20, TaskGrid.cacheFloats / (TaskGrid.tileRows * max(1, rowFloats))))
    let tiles = max(1, (rows + TaskGrid.tileRows - 1) / TaskGrid.tileRows)
    let fewest = (tiles + most - 1) / most
    let isWhole = fewest == 1 && (columns * rowFloats > TaskGrid.sharedFloats || tiles < 4 * threads)
    blocks = isWhole ? 1 : min(tiles, fewest.roundedUp(to: max(1, threads)))
    blockRows = max(1, (rows + blocks - 1) / blocks)
    self.chunkColumns = max(1, chunkColumns(blocks))
    let chunks = (columns + self.chunkColumns - 1) / self.chunkColumns
    sharers = blocks == 1 && chunks % max(1, threads) > 0 && tiles >= 2 * threads ? threads : 1
  }

  private static let tileRows = 12
  /// Of weights that each thread may read for rows of its own: a half of a usual second-level cache.
  private static let sharedFloats = 1 << 17
  private static let cacheFloats = max(48 << 10, sysconf(Int32(_SC_LEVEL2_CACHE_SIZE)) / 8)

  private var chunks: Int { (columns + chunkColumns - 1) / chunkColumns }
  /// Tasks of one thread, of those that share.
  private var shared: (whole: Int, parts: Int) { (chunks / sharers, chunks % sharers) }
  var count: Int { sharers > 1 ? sharers * (shared.whole + shared.parts) : blocks * chunks }

  subscript(task: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    guard sharers > 1 else { return (part(task / chunks, of: blocks), chunk(task % chunks)) }
    let (whole, parts) = shared
    let (sharer, own) = (task / (whole + parts), task % (whole + parts))
    if own < whole { return (0..<rows, chunk(sharer * whole + own)) }
    return (part(sharer, of: sharers), chunk(sharers * whole + own - whole))
  }

  private func part(_ i: Int, of count: Int) -> Range<Int> { rows * i / count..<rows * (i + 1) / count }

  private func chunk(_ i: Int) -> Range<Int> { i * chunkColumns..<min(columns, (i + 1) * chunkColumns) }
}

extension Kernels {
  /// All columns at once, or as many chunks of whole panels as keep the threads busy. OpenBLAS gets blocks and chunks
  /// of one size only, since its sums depend on that.
  func grid(rows: Int, columns: Int, rowFloats: Int, threads: Int) -> TaskGrid {
    let isBLAS = variant == .openblas
    return TaskGrid(rows: rows, columns: columns, rowFloats: rowFloats, threads: isBLAS ? 1 : threads) { blocks in
      if isBLAS { return 128 }
      let chunks = threads == 1 ? 1 : max(1, 4 * threads / max(1, blocks))
      let panels = (columns + panelWidth - 1) / panelWidth
      return (panels + chunks - 1) / chunks * panelWidth
    }
  }
}
