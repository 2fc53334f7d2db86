import Kernels

/// MaxPool with the places of its maxima, as indices into the whole input in ONNX order.
struct PoolIndices: Sendable {
  private let p: Kernels.Pooling
  /// Whether the indices count down the columns of a picture rather than along its rows.
  private let isColumnMajor: Bool

  init(_ pooling: Kernels.Pooling, isColumnMajor: Bool) {
    p = pooling
    self.isColumnMajor = isColumnMajor
  }

  func run(
    _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ indices: UnsafeMutablePointer<Int64>
  ) {
    for n in 0..<p.batch {
      for y in 0..<p.outputHeight {
        for column in 0..<p.outputWidth {
          let place = ((n * p.outputHeight + y) * p.outputWidth + column) * p.channels
          let rows = p.rows(y)
          let columns = p.columns(column)
          for c in 0..<p.channels {
            let (value, index) = maximum(x, n, c, rows, columns)
            output[place + c] = value
            indices[place + c] = Int64(index)
          }
        }
      }
    }
  }

  private func maximum(
    _ x: UnsafePointer<Float>, _ n: Int, _ c: Int, _ rows: [Int], _ columns: [Int]
  ) -> (Float, Int) {
    var best = -Float.infinity
    var index = 0
    for y in rows {
      for column in columns {
        let value = x[((n * p.inputHeight + y) * p.inputWidth + column) * p.channels + c]
        guard value > best else { continue }
        best = value
        let inPicture = isColumnMajor ? column * p.inputHeight + y : y * p.inputWidth + column
        index = (n * p.channels + c) * p.inputHeight * p.inputWidth + inPicture
      }
    }
    return (best, index)
  }
}

extension Kernels.Pooling {
  /// The rows of the input under the windows of output row `y`.
  func rows(_ y: Int) -> [Int] {
    let top = y * strideY - padTop
    return Self.inside(top, dilationY, kernelHeight, inputHeight).map { top + $0 * dilationY }
  }

  /// The columns of the input under the windows of output column `x`.
  func columns(_ x: Int) -> [Int] {
    let left = x * strideX - padLeft
    return Self.inside(left, dilationX, kernelWidth, inputWidth).map { left + $0 * dilationX }
  }
}
