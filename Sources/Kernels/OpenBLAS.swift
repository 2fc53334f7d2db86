import COpenBLAS
import KernelCore
import Parallel

extension Kernels {
  /// `compute` through OpenBLAS. Operands that do not lie at equal distances are gathered first.
  func computeBLAS(_ product: Product, _ rows: Range<Int>, _ columns: Range<Int>, _ scratch: Scratch) {
    let depth = product.taps * product.channels
    var a = scratch.pointers[0]
    var stride = rows.count > 1 ? scratch.pointers[1] - a : depth
    let isRegular =
      product.taps == 1 && stride >= depth && (0..<rows.count).allSatisfy { scratch.pointers[$0] == a + $0 * stride }
    if !isRegular {
      let gathered = scratch.gathered(taps: product.taps)
      for tap in 0..<product.taps {
        for i in 0..<rows.count {
          let source = scratch.pointers[tap * scratch.pointerStride + i]
          (gathered + (i * depth + tap * product.channels)).update(from: source, count: product.channels)
        }
      }
      a = UnsafePointer(gathered)
      stride = depth
    }
    let offset = rows.lowerBound * product.stride + columns.lowerBound
    func multiply(into output: UnsafeMutablePointer<Float>, stride outputStride: Int) {
      lp_sgemm(
        Int32(rows.count), Int32(columns.count), Int32(depth), a, Int32(stride), product.weights + columns.lowerBound,
        Int32(product.columns), output, Int32(outputStride))
    }
    guard let residual = product.epilogue.residual, residual == product.output else {
      multiply(into: product.output + offset, stride: product.stride)
      return finish(product, rows, columns)
    }
    // Sums would take the place of the residual.
    withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count * columns.count) { memory in
      guard let sums = memory.baseAddress else { return }
      multiply(into: sums, stride: columns.count)
      for i in 0..<rows.count {
        let place = product.output + (offset + i * product.stride)
        table.binary(.add, place, 1, sums + i * columns.count, 1, place, columns.count)
      }
    }
    var rest = product
    rest.epilogue.residual = nil
    finish(rest, rows, columns)
  }

  /// The epilogue as passes over the rows.
  private func finish(_ product: Product, _ rows: Range<Int>, _ columns: Range<Int>) {
    let epilogue = product.epilogue
    for row in rows {
      let offset = row * product.stride + columns.lowerBound
      let place = product.output + offset
      if let bias = epilogue.bias {
        table.binary(.add, place, 1, bias + columns.lowerBound, 1, place, columns.count)
      }
      if let residual = epilogue.residual {
        table.binary(.add, place, 1, residual + offset, 1, place, columns.count)
      }
      if let activation = epilogue.activation { unary(activation, place, into: place, count: columns.count, .serial) }
    }
  }
}
