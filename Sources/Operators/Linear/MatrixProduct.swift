import Kernels
import Parallel
import Tensors

/// Products of a stack of matrices a [rows, depth] with a stack of matrices b [depth, columns], as MatMul, Gemm and
/// Einsum need them. All strides in elements.
struct MatrixProduct: Sendable {
  let rows: Int
  let depth: Int
  let columns: Int
  /// Products to be made.
  var count = 1
  /// Which matrix of a and which of b make each product; nil where product i takes matrix i of both.
  var pairs: Broadcast?
  /// From row to row, and from matrix to matrix of a; neighbours in a row lie together.
  var aRowStride: Int
  var aStride = 0
  var bDepthStride: Int
  var bColumnStride: Int
  var bStride = 0
  /// Matrices in b.
  var bCount = 1
  /// Whether b is known when this is planned.
  var isKnown = false
  let kernels: Kernels

  /// Of each matrix of b. Stacks stay in float32.
  var packing: Packing { kernels.packing(depth: depth, columns: columns, known: isKnown && bCount == 1 && count == 1) }

  private var packedCount: Int { (packing.byteCount / 4).roundedUp(to: 16) }

  /// What `run` needs.
  func workspace(threads: Int) -> Int { kernels.productWorkspace(rows: rows, packing, threads: threads) }

  /// What all of b takes when packed.
  var packedByteCount: Int {
    get throws {
      let (bytes, overflow) = (4 * packedCount).multipliedReportingOverflow(by: bCount)
      if overflow { throw Failure(.unsupported, "\(bCount) matrices are too many") }
      return bytes
    }
  }

  /// `b` may be misaligned. `factor` multiplies all elements.
  func pack(_ b: UnsafeRawPointer, factor: Float = 1, into packed: UnsafeMutableRawPointer, _ parallel: Parallel) {
    guard depth > 0, columns > 0 else { return }
    let packing = packing
    let scale = factor == 1 ? nil : [Float](repeating: factor, count: columns)
    func one(_ i: Int, _ parallel: Parallel) {
      kernels.pack(
        b + 4 * i * bStride, as: packing, rowStride: bDepthStride, columnStride: bColumnStride, scale: scale,
        into: packed + 4 * i * packedCount, parallel)
    }
    if bCount == 1 { return one(0, parallel) }
    parallel.forEach(bCount) { for i in $0 { one(i, .serial) } }
  }

  /// `output` [count, rows, columns]. `workspace`: of `workspace(threads:)` bytes.
  func run(
    _ a: UnsafePointer<Float>, packed: UnsafeRawPointer, into output: UnsafeMutablePointer<Float>,
    _ epilogue: Kernels.Epilogue = .none, workspace: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    guard rows > 0, columns > 0 else { return }
    let packed = packed.assumingMemoryBound(to: Float.self)
    let packing = packing
    func one(_ i: Int, _ parallel: Parallel) {
      let first = pairs.map { $0.offset(ofElement: i, $0.strides[0]) } ?? i
      let second = pairs.map { $0.offset(ofElement: i, $0.strides[1]) } ?? i
      kernels.multiply(
        rows: rows, a + first * aStride, stride: aRowStride, packed + second * packedCount, as: packing,
        into: output + i * rows * columns, stride: columns, epilogue, workspace: workspace, parallel)
    }
    if count < parallel.threads {
      for i in 0..<count { one(i, parallel) }
    } else {
      parallel.forEach(count) { for i in $0 { one(i, .serial) } }
    }
  }
}
