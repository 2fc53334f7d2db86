import Glibc
import Parallel
import Synchronization

/// Calls `body` once for each task, each time with the number of a slot that no other call has at that time:
/// scratch memory can be divided by slots. There are as many slots as threads.
func forEachTask(_ count: Int, _ parallel: Parallel, _ body: (_ task: Int, _ slot: Int) -> Void) {
  let slots = min(parallel.threads, count)
  let next = Atomic<Int>(0)
  parallel.forEach(slots) { range in
    for slot in range {
      while true {
        let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard task < count else { return }
        body(task, slot)
      }
    }
  }
}

/// An output matrix cut into tasks: blocks of rows, and chunks of columns.
///
/// The blocks do not depend on the number of threads.
struct TaskGrid {
  let rows, columns, blockRows, chunkColumns: Int

  /// `rowFloats`: floats read for one row. Its operand should stay in the second-level cache while all panels of
  /// weights pass by. `chunkColumns` is given the number of blocks.
  init(rows: Int, columns: Int, rowFloats: Int, chunkColumns: (_ blocks: Int) -> Int) {
    self.rows = rows
    self.columns = columns
    let tiles = max(2, min(20, TaskGrid.cacheFloats / (12 * max(1, rowFloats))))
    blockRows = max(1, min(rows, 12 * tiles))
    self.chunkColumns = max(1, chunkColumns((rows + blockRows - 1) / blockRows))
  }

  private static let cacheFloats = max(48 << 10, sysconf(Int32(_SC_LEVEL2_CACHE_SIZE)) / 8)

  var blocks: Int { (rows + blockRows - 1) / blockRows }
  var chunks: Int { (columns + chunkColumns - 1) / chunkColumns }
  var count: Int { blocks * chunks }

  subscript(task: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let row = task / chunks * blockRows
    let column = task % chunks * chunkColumns
    return (row..<min(rows, row + blockRows), column..<min(columns, column + chunkColumns))
  }
}

extension Kernels {
  /// All columns at once, or as many chunks of whole panels as keep the threads busy. OpenBLAS gets chunks of one size
  /// only, since its sums depend on that.
  func grid(rows: Int, columns: Int, rowFloats: Int, threads: Int) -> TaskGrid {
    TaskGrid(rows: rows, columns: columns, rowFloats: rowFloats) { blocks in
      if variant == .openblas { return 128 }
      let chunks = threads == 1 ? 1 : max(1, 4 * threads / max(1, blocks))
      let panels = (columns + panelWidth - 1) / panelWidth
      return (panels + chunks - 1) / chunks * panelWidth
    }
  }
}
