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

  /// Bytes that `multiply` needs on up to `threads` threads.
  public func productWorkspace(rows: Int, _ packing: Packing, threads: Int) -> Int {
    guard packing.roundedWords > 0 else { return 0 }
    return productSlot(productGrid(rows: rows, packing, threads: threads), packing) * max(1, threads)
  }

  private func productGrid(rows: Int, _ packing: Packing, threads: Int) -> TaskGrid {
    grid(rows: rows, columns: packing.columns, rowFloats: packing.words, threads: threads)
  }

  private func productSlot(_ grid: TaskGrid, _ packing: Packing) -> Int {
    Scratch.byteCount(rows: grid.blockRows, taps: 1, gathering: packing.roundedWords)
  }

  /// `c[rows, columns] = a[rows, depth] * packed`, then the epilogue. Strides in floats. The workspace is 64-byte
  /// aligned; without one, memory is taken from the system.
  public func multiply(
    rows: Int, _ a: UnsafePointer<Float>, stride aStride: Int, _ packed: UnsafePointer<Float>, as packing: Packing,
    into c: UnsafeMutablePointer<Float>, stride cStride: Int, _ epilogue: Epilogue,
    workspace: UnsafeMutableRawPointer? = nil, _ parallel: Parallel
  ) {
    let product = Product(
      taps: 1, channels: packing.channels, columns: packing.columns, numbers: packing.numbers, weights: packed,
      output: c, stride: cStride, epilogue: epilogue)
    let grid = productGrid(rows: rows, packing, threads: parallel.threads)
    let slotBytes = productSlot(grid, packing)
    parallel.forEachTask(grid.count) { task, slot in
      let (rows, columns) = grid[task]
      func multiply(_ memory: UnsafeMutableRawPointer) {
        let scratch = Scratch(memory, rows: grid.blockRows)
        for (i, row) in rows.enumerated() { scratch.pointers[i] = a + row * aStride }
        compute(product, rows, columns, scratch, zeros: nil)
      }
      if packing.roundedWords > 0, let workspace { return multiply(workspace + slot * slotBytes) }
      withUnsafeTemporaryAllocation(byteCount: slotBytes, alignment: 64) { memory in
        if let base = memory.baseAddress { multiply(base) }
      }
    }
  }

  /// Bytes that `multiplySerially` needs.
  public func serialScratch(rows: Int, _ packing: Packing) -> Int {
    productSlot(productGrid(rows: rows, packing, threads: 1), packing)
  }

  /// As `multiply`, on this thread alone: for products that are over before memory is had from the system. `memory` is
  /// 64-byte aligned, of `serialScratch` bytes.
  public func multiplySerially(
    rows: Int, _ a: UnsafePointer<Float>, stride aStride: Int, _ packed: UnsafePointer<Float>, as packing: Packing,
    into c: UnsafeMutablePointer<Float>, stride cStride: Int, _ epilogue: Epilogue, memory: UnsafeMutableRawPointer
  ) {
    let product = Product(
      taps: 1, channels: packing.channels, columns: packing.columns, numbers: packing.numbers, weights: packed,
      output: c, stride: cStride, epilogue: epilogue)
    let grid = productGrid(rows: rows, packing, threads: 1)
    let scratch = Scratch(memory, rows: grid.blockRows)
    for task in 0..<grid.count {
      let (rows, columns) = grid[task]
      for (i, row) in rows.enumerated() { scratch.pointers[i] = a + row * aStride }
      compute(product, rows, columns, scratch, zeros: nil)
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
      rows: rows, depth: depth, a: a, aStride: aStride, weights: w, weightStride: depth, output: c,
      outputStride: cStride, bias: epilogue.bias, residual: epilogue.residual, low: clamp?.lowerBound ?? -.infinity,
      high: clamp?.upperBound ?? .infinity)
    let keptBytes = TransposedProduct.keptByteCount(rows: rows, depth: depth)
    // A part that takes passes has whole blocks of columns.
    let grain = max(keptBytes > 0 ? 8 : 1, Self.elementGrain / (4 * max(1, depth)))
    parallel.forEach((columns + 3) / 4, grain: grain) { range in
      let range = 4 * range.lowerBound..<min(columns, 4 * range.upperBound)
      if keptBytes == 0 {
        table.multiplyTransposed(product, range.lowerBound, range.upperBound)
      } else {
        withUnsafeTemporaryAllocation(byteCount: keptBytes, alignment: 64) { memory in
          var own = product
          own.kept = memory.baseAddress
          table.multiplyTransposed(own, range.lowerBound, range.upperBound)
        }
      }
      applyUnclamped(epilogue, c, stride: cStride, 0..<rows, range)
    }
  }
}
