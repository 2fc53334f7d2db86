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
    let grid = grid(rows: rows, columns: columns, rowFloats: depth, threads: parallel.threads)
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
    let clamp = epilogue.activation?.clampRange
    let product = TransposedProduct(
      rows: rows, depth: depth, a: a, aStride: aStride, weights: w, output: c, outputStride: cStride,
      bias: epilogue.bias, residual: epilogue.residual, low: clamp?.lowerBound ?? -.infinity,
      high: clamp?.upperBound ?? .infinity)
    parallel.forEach((columns + 3) / 4, grain: max(1, Self.elementGrain / (4 * max(1, depth)))) { range in
      let range = 4 * range.lowerBound..<min(columns, 4 * range.upperBound)
      table.multiplyTransposed(product, range.lowerBound, range.upperBound)
      applyUnclamped(epilogue, c, stride: cStride, 0..<rows, range)
    }
  }
}
