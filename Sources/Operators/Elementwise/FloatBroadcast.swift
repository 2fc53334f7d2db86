import Kernels
import Parallel
import Tensors

extension Broadcast {
  /// `output = op(a, b)` on float32 operands that lie at these strides.
  func run(
    _ op: Kernels.Binary, _ a: UnsafePointer<Float>, _ aStrides: [Int], _ b: UnsafePointer<Float>,
    _ bStrides: [Int], into output: UnsafeMutablePointer<Float>, _ kernels: Kernels, _ parallel: Parallel
  ) {
    guard shape.count > 0 else { return }
    let last = extents.count - 1
    guard aStrides[last] <= 1, bStrides[last] <= 1 else {
      return runGathering(op, a, aStrides, b, bStrides, into: output, kernels, parallel)
    }
    let rows = extents[last - 1]
    let slab = rows * columns
    // One call of the kernel covers the last two axes.
    func slabs(_ range: Range<Int>, _ parallel: Parallel) {
      for index in range {
        kernels.binary(
          op, rows: rows, columns: columns,
          a + offset(ofRow: index * rows, aStrides), aRowStride: aStrides[last - 1], aColumnStride: aStrides[last],
          b + offset(ofRow: index * rows, bStrides), bRowStride: bStrides[last - 1], bColumnStride: bStrides[last],
          into: output + index * slab, parallel)
      }
    }
    let count = shape.count / slab
    if count < parallel.threads || slab >= 65536 {
      slabs(0..<count, parallel)
    } else {
      parallel.forEach(count, grain: max(1, 16384 / slab)) { slabs($0, .serial) }
    }
  }

  /// For operands whose neighbours along the last axis do not lie together: brings them together piece by piece.
  private func runGathering(
    _ op: Kernels.Binary, _ a: UnsafePointer<Float>, _ aStrides: [Int], _ b: UnsafePointer<Float>,
    _ bStrides: [Int], into output: UnsafeMutablePointer<Float>, _ kernels: Kernels, _ parallel: Parallel
  ) {
    let last = extents.count - 1
    let piece = min(columns, 1024)
    forEachRow(parallel) { row in
      let aRow = a + offset(ofRow: row, aStrides)
      let bRow = b + offset(ofRow: row, bStrides)
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * piece) { scratch in
        guard let scratch = scratch.baseAddress else { return }
        for first in stride(from: 0, to: columns, by: piece) {
          let count = min(piece, columns - first)
          for i in 0..<count {
            scratch[i] = aRow[(first + i) * aStrides[last]]
            scratch[piece + i] = bRow[(first + i) * bStrides[last]]
          }
          kernels.binary(
            op, rows: 1, columns: count, scratch, aRowStride: 0, aColumnStride: 1, scratch + piece, bRowStride: 0,
            bColumnStride: 1, into: output + row * columns + first, .serial)
        }
      }
    }
  }
}
