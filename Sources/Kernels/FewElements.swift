import KernelCore
public import Parallel
import Tensors

/// Products with a matrix that is not packed, of which only some rows or columns are wanted.
extension Kernels {
  /// A matrix where it lies: element (row, column) is `4 * (row * rowStride + column * columnStride)` bytes after
  /// `base`, which may be misaligned.
  public struct PlacedMatrix {
    public let base: UnsafeRawPointer
    public let rowStride, columnStride: Int

    public init(_ base: UnsafeRawPointer, rowStride: Int, columnStride: Int) {
      self.base = base
      self.rowStride = rowStride
      self.columnStride = columnStride
    }
  }

  /// Columns that are packed together.
  private var pickedWidth: Int { variant == .openblas ? 64 : panelWidth }

  private func pickedSlot(depth: Int) -> Int { (4 * depth * pickedWidth).roundedUp(to: 64) }

  /// Bytes that `multiply(rows:_:stride:_:depth:columns:…)` needs on up to `threads` threads.
  public func pickedWorkspace(depth: Int, threads: Int) -> Int { pickedSlot(depth: depth) * max(1, threads) }

  /// `c[i, n] = sum of a[i, k] * matrix[depth[k], columns[n]]`, then the epilogue, which has no residual. Each panel of
  /// columns is packed when its turn comes: for many rows of a. The workspace is 64-byte aligned.
  public func multiply(
    rows: Int, _ a: UnsafePointer<Float>, stride aStride: Int, _ matrix: PlacedMatrix, depth: [Int], columns: [Int],
    into c: UnsafeMutablePointer<Float>, stride cStride: Int, _ epilogue: Epilogue, workspace: UnsafeMutableRawPointer,
    _ parallel: Parallel
  ) {
    guard rows > 0, !depth.isEmpty else { return }
    let width = pickedWidth
    let slotBytes = pickedSlot(depth: depth.count)
    parallel.forEachTask((columns.count + width - 1) / width) { panel, slot in
      let first = panel * width
      let own = columns[first..<min(columns.count, first + width)]
      let packing = packing(depth: depth.count, columns: own.count, known: false)
      let packed = (workspace + slot * slotBytes).assumingMemoryBound(to: Float.self)
      pack(matrix, depth, own, width: packing.groupCount / depth.count, into: packed)
      let epilogue = Epilogue(bias: epilogue.bias.map { $0 + first }, activation: epilogue.activation)
      multiply(rows: rows, a, stride: aStride, packed, as: packing, into: c + first, stride: cStride, epilogue, .serial)
    }
  }

  /// One panel, [depth, width]. Few columns at a time: where those of the matrix are a power of two apart, more would
  /// push each other out of the cache.
  private func pack(
    _ matrix: PlacedMatrix, _ depth: [Int], _ columns: ArraySlice<Int>, width: Int,
    into packed: UnsafeMutablePointer<Float>
  ) {
    let offsets = columns.map { 4 * $0 * matrix.columnStride }
    depth.withUnsafeBufferPointer { depth in
      for first in stride(from: 0, to: width, by: 8) {
        let end = max(first, min(first + 8, offsets.count))
        var row = packed
        if end == first + 8 {
          let own = offsets[first..<end]
          let (a, b, c, d) = (own[first], own[first + 1], own[first + 2], own[first + 3])
          let (e, f, g, h) = (own[first + 4], own[first + 5], own[first + 6], own[first + 7])
          for k in depth {
            let place = matrix.base + 4 * k * matrix.rowStride
            func element(_ offset: Int) -> Float { place.loadUnaligned(fromByteOffset: offset, as: Float.self) }
            let next = row + first
            (next[0], next[1], next[2], next[3]) = (element(a), element(b), element(c), element(d))
            (next[4], next[5], next[6], next[7]) = (element(e), element(f), element(g), element(h))
            row += width
          }
          continue
        }
        for k in depth {
          let place = matrix.base + 4 * k * matrix.rowStride
          for n in first..<end { row[n] = place.loadUnaligned(fromByteOffset: offsets[n], as: Float.self) }
          for n in end..<min(first + 8, width) { row[n] = 0 }
          row += width
        }
      }
    }
  }

  /// Rows that differ from one, `a`, in few elements, times a transposed matrix: `c[0] = a * w + bias`, and
  /// `c[1 + i] = c[0] + change[i] * w`, `change[i]` being `length` elements from `firsts[i]` on, the others 0. w is
  /// [columns, depth], read once where it lies; of it `columns` are wanted. Rows of c are as long as there are columns.
  public func multiplyTransposed(
    depth: Int, _ a: UnsafePointer<Float>, bias: UnsafePointer<Float>?, changes: UnsafePointer<Float>, length: Int,
    firsts: [Int], _ w: UnsafeRawPointer, columns: [Int], into c: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    parallel.forEach((columns.count + 3) / 4, grain: 4) { range in
      var n = 4 * range.lowerBound
      let end = min(columns.count, 4 * range.upperBound)
      while n < end {
        // Columns that are neighbours of each other are computed together.
        var count = 1
        while count < 4, n + count < end, columns[n + count] == columns[n] + count { count += 1 }
        let weights = w + 4 * depth * columns[n]
        var product = TransposedProduct(
          rows: 1, depth: depth, a: a, aStride: depth, weights: weights, weightStride: depth, output: c + n,
          outputStride: columns.count, bias: bias.map { $0 + n }, residual: nil, low: -.infinity, high: .infinity)
        table.multiplyTransposed(product, 0, count)
        product.bias = UnsafePointer(c + n)
        product.depth = length
        for (i, first) in firsts.enumerated() {
          product.a = changes + i * length
          product.weights = weights + 4 * first
          product.output = c + ((1 + i) * columns.count + n)
          table.multiplyTransposed(product, 0, count)
        }
        n += count
      }
    }
  }
}
