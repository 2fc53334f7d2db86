import KernelCore
import Parallel
import Tensors

/// A packed matrix, and where its products go.
struct Product {
  var taps, channels, columns: Int
  /// Of the weights; operands are rounded to them.
  var numbers = Packing.Numbers.float32
  var weights: UnsafePointer<Float>
  var output: UnsafeMutablePointer<Float>
  /// From one output row to the next.
  var stride: Int
  var epilogue: Kernels.Epilogue
  /// Summands of which a run has the nearest multiple; nil for those of a tap.
  var unit: Int?
  /// Whether outputs are interpolated from these sums, which magnifies their rounding.
  var isInterpolated = false

  /// Summands of a run (`Block.run`): rounding is least near the square root of their number, and longer runs cost less
  /// time, since a run's end stores all sums of a tile. Of numbers in bfloat16, whose own rounding is far greater, one
  /// run.
  var run: Int {
    let depth = taps * channels
    if numbers != .float32 { return max(1, depth) }
    if isInterpolated { return depth < 256 ? 16 : 32 }
    let (run, unit) = (depth <= 256 ? 32 : depth <= 1024 ? 64 : 128, max(1, unit ?? channels))
    return unit < run ? (run + unit / 2) / unit * unit : run
  }
}

/// Memory of one task: room for tiles that stick out of the output, then the row pointers, then for OpenBLAS and for
/// bfloat16 the rows themselves, 64-byte aligned.
struct Scratch {
  let edges: UnsafeMutablePointer<Float>
  let pointers: UnsafeMutablePointer<UnsafePointer<Float>>
  /// From the pointers of one tap to those of the next.
  let pointerStride: Int
  private let rows: Int

  init(_ memory: UnsafeMutableRawPointer, rows: Int) {
    self.rows = rows
    edges = memory.assumingMemoryBound(to: Float.self)
    pointers = (memory + 4 * Block.scratchCount).assumingMemoryBound(to: UnsafePointer<Float>.self)
    pointerStride = rows + Block.overrun
  }

  /// `gathering`: floats or words that are gathered for each row and tap.
  static func byteCount(rows: Int, taps: Int, gathering words: Int = 0) -> Int {
    let pointers = 4 * Block.scratchCount + taps * (rows + Block.overrun) * MemoryLayout<UnsafePointer<Float>>.stride
    // Tiles of rows may stick out below.
    return pointers.roundedUp(to: 64) + 4 * taps * words * rows.roundedUp(to: TileTable.rows)
  }

  func gathered(taps: Int) -> UnsafeMutablePointer<Float> {
    (UnsafeMutableRawPointer(edges) + Scratch.byteCount(rows: rows, taps: taps)).assumingMemoryBound(to: Float.self)
  }
}

extension Kernels {
  /// Computes rows and columns of a product. `scratch.pointers` has the operand of each row, tap by tap; those equal
  /// to `zeros` are padding.
  func compute(
    _ product: Product, _ rows: Range<Int>, _ columns: Range<Int>, _ scratch: Scratch, zeros: UnsafePointer<Float>?
  ) {
    if variant == .openblas { return computeBLAS(product, rows, columns, scratch) }
    // A tile may reach beyond the last row; what it computes there is dropped.
    for tap in 0..<product.taps {
      let end = scratch.pointers + (tap * scratch.pointerStride + rows.count)
      for i in 0..<Block.overrun { end[i] = end[-1] }
    }
    let multiply = roundOperands(product, rows.count, scratch, zeros: zeros)
    let epilogue = product.epilogue
    let range = epilogue.activation?.clampRange
    let offset = rows.lowerBound * product.stride
    let block = Block(
      rows: rows.count, pointers: scratch.pointers, pointerStride: scratch.pointerStride, zeros: zeros,
      taps: product.taps, channels: product.numbers == .float32 ? product.channels : (product.channels + 1) / 2,
      run: product.run, weights: product.weights, columns: product.columns,
      output: product.output + offset, outputStride: product.stride, bias: epilogue.bias,
      residual: epilogue.residual.map { $0 + offset }, low: range?.lowerBound ?? -.infinity,
      high: range?.upperBound ?? .infinity, scratch: scratch.edges)
    guard epilogue.activation != nil, range == nil else {
      return multiply(block, columns.lowerBound, columns.upperBound)
    }
    // Some panels at a time, so that their sums are still in the second-level cache when the activation reads them.
    let width = panelWidth * max(1, Self.activatedFloats / (panelWidth * max(1, rows.count)))
    for first in stride(from: columns.lowerBound, to: columns.upperBound, by: width) {
      let end = min(first + width, columns.upperBound)
      multiply(block, first, end)
      applyUnclamped(epilogue, product.output, stride: product.stride, rows, first..<end)
    }
  }

  private static var activatedFloats: Int { 32 << 10 }

  /// Brings the operands of all rows into the numbers of the weights, and points to that; returns the loop over them.
  private func roundOperands(
    _ product: Product, _ rows: Int, _ scratch: Scratch, zeros: UnsafePointer<Float>?
  ) -> @Sendable (Block, Int, Int) -> Void {
    guard product.numbers != .float32 else { return table.multiply }
    if let tiles, fillsTiles(product.channels) {
      gather(tiles, product, rows, scratch, zeros: zeros)
      return product.numbers == .bfloat16 ? tiles.multiply : tiles.multiplySplit
    }
    guard let bfloat16 else { return table.multiply }
    round(bfloat16, product, rows, scratch, zeros: zeros)
    return bfloat16.multiply
  }

  /// Zeros are the same in both.
  private func round(
    _ table: BFloat16Table, _ product: Product, _ rows: Int, _ scratch: Scratch, zeros: UnsafePointer<Float>?
  ) {
    var next = scratch.gathered(taps: product.taps)
    for tap in 0..<product.taps {
      let pointers = scratch.pointers + tap * scratch.pointerStride
      for i in 0..<rows where pointers[i] != zeros {
        table.round(pointers[i], next, product.channels)
        pointers[i] = UnsafePointer(next)
        next += (product.channels + 1) / 2
      }
    }
  }

  /// As `TileTable` reads them: one row after another, and so the rests.
  private func gather(
    _ table: TileTable, _ product: Product, _ rows: Int, _ scratch: Scratch, zeros: UnsafePointer<Float>?
  ) {
    let words = product.channels / 2
    let half = rows.roundedUp(to: TileTable.rows) * words
    let isSplit = product.numbers == .splitBFloat16
    var next = scratch.gathered(taps: product.taps)
    for tap in 0..<product.taps {
      let pointers = scratch.pointers + tap * scratch.pointerStride
      for i in 0..<rows {
        let (row, rest) = (next + i * words, next + (half + i * words))
        if pointers[i] == zeros {
          row.update(repeating: 0, count: words)
          if isSplit { rest.update(repeating: 0, count: words) }
        } else if isSplit {
          table.split(pointers[i], row, rest, product.channels)
        } else {
          table.round(pointers[i], row, product.channels)
        }
      }
      pointers[0] = UnsafePointer(next)
      pointers[1] = UnsafePointer(next + half)
      next += isSplit ? 2 * half : half
    }
  }

  /// Applies an activation that did not go into the sums as bounds.
  func applyUnclamped(
    _ epilogue: Epilogue, _ output: UnsafeMutablePointer<Float>, stride: Int, _ rows: Range<Int>,
    _ columns: Range<Int>
  ) {
    guard let activation = epilogue.activation, activation.clampRange == nil else { return }
    // One call for all rows: of short ones a call for each would take as long as the function.
    let place = output + (rows.lowerBound * stride + columns.lowerBound)
    if columns.count == stride {
      unaryRow(activation, place, place, rows.count * stride)
    } else if let (function, a, b) = activation.vectorFunction {
      table.unary(function, a, b, place, place, columns.count, rows.count, stride)
    } else {
      for row in 0..<rows.count { unaryRow(activation, place + row * stride, place + row * stride, columns.count) }
    }
  }
}

extension Kernels.Unary {
  /// The bounds, where this only bounds its operand.
  var clampRange: ClosedRange<Float>? {
    switch self {
    case .relu: 0 ... .infinity
    case .clip(let low, let high): low <= high ? low...high : nil
    default: nil
    }
  }
}
