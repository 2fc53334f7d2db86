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

/// An output matrix cut into tasks: blocks of rows, and chunks of columns where there would be too few blocks.
///
/// The blocks do not depend on the number of threads.
struct Grid {
  let rows, columns, blockRows, chunkColumns: Int

  /// `rowFloats`: floats read for one row. Its operand should stay in the second-level cache while all panels of
  /// weights pass by.
  init(rows: Int, columns: Int, rowFloats: Int, panelWidth: Int, threads: Int) {
    self.rows = rows
    self.columns = columns
    let tiles = max(4, min(40, Grid.cacheFloats / (6 * max(1, rowFloats))))
    blockRows = max(1, min(rows, 6 * tiles))
    let blocks = (rows + blockRows - 1) / blockRows
    let panels = (columns + panelWidth - 1) / panelWidth
    let wanted = threads == 1 ? 1 : max(1, 4 * threads / max(1, blocks))
    chunkColumns = max(1, (panels + wanted - 1) / wanted) * panelWidth
  }

  private static let cacheFloats = 48 << 10

  var blocks: Int { rows == 0 ? 0 : (rows + blockRows - 1) / blockRows }
  var chunks: Int { (columns + chunkColumns - 1) / chunkColumns }
  var count: Int { blocks * chunks }

  subscript(task: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let row = task / chunks * blockRows
    let column = task % chunks * chunkColumns
    return (row..<min(rows, row + blockRows), column..<min(columns, column + chunkColumns))
  }
}
