import KernelCore
public import Parallel

extension Kernels {
  /// What is done to each sum before it is stored: `activation(sum + bias[column] + residual)`.
  public struct Epilogue {
    public var bias: UnsafePointer<Float>?
    /// Laid out as the output.
    public var residual: UnsafePointer<Float>?
    public var activation: Unary?

    public static var none: Epilogue { Epilogue() }

    public init(
      bias: UnsafePointer<Float>? = nil, residual: UnsafePointer<Float>? = nil, activation: Unary? = nil
    ) {
      self.bias = bias
      self.residual = residual
      self.activation = activation
    }
  }

  /// `c[rows, columns] = a[rows, depth] * packed`, then the epilogue. Strides in floats.
  public func multiply(
    rows: Int, depth: Int, columns: Int, _ a: UnsafePointer<Float>, stride aStride: Int,
    _ packed: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>, stride cStride: Int,
    _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    let product = Product(
      taps: 1, channels: depth, columns: columns, weights: packed, output: c, stride: cStride, epilogue: epilogue)
    let grid = Grid(
      rows: rows, columns: columns, rowFloats: depth, panelWidth: panelWidth, threads: parallel.threads)
    forEachTask(grid.count, parallel) { task, _ in
      let (rows, columns) = grid[task]
      withUnsafeTemporaryAllocation(
        byteCount: Scratch.byteCount(rows: grid.blockRows, taps: 1), alignment: 64
      ) { memory in
        guard let base = memory.baseAddress else { return }
        let scratch = Scratch(base, rows: grid.blockRows)
        for (i, row) in rows.enumerated() { scratch.pointers[i] = a + row * aStride }
        compute(product, rows, columns, scratch, zeros: nil)
      }
    }
  }

  /// `c[rows, columns] = a[rows, depth] * transpose(w[columns, depth])`, then the epilogue: fully connected layers,
  /// whose weights are read where they lie (at any address).
  public func multiplyTransposed(
    rows: Int, depth: Int, columns: Int, _ a: UnsafePointer<Float>, stride aStride: Int, _ w: UnsafeRawPointer,
    into c: UnsafeMutablePointer<Float>, stride cStride: Int, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    for m in 0..<rows {
      for n in 0..<columns {
        var sum: Float = 0
        for k in 0..<depth {
          sum += a[m * aStride + k] * w.loadUnaligned(fromByteOffset: 4 * (n * depth + k), as: Float.self)
        }
        c[m * cStride + n] = finish(sum, n, m * cStride + n, epilogue)
      }
    }
  }

  func finish(_ sum: Float, _ column: Int, _ index: Int, _ epilogue: Epilogue) -> Float {
    let x = sum + (epilogue.bias?[column] ?? 0) + (epilogue.residual?[index] ?? 0)
    return epilogue.activation.map { scalar($0, x) } ?? x
  }
}
