import Kernels
import Parallel
import Tensors

/// Products with weights of gates, [directions, gates × hidden, depth]: packed where they are known when the model is
/// planned, else read where they lie.
struct GateProduct: Sendable {
  private let input: Int
  private let depth, width: Int
  /// The gates that are wanted.
  private let columns: Range<Int>
  private let packed: [Storage]?
  private let kernels: Kernels

  /// `columns` of the gates' `width`, by the weights in this input.
  init(_ request: Request, input: Int, depth: Int, width: Int, columns: Range<Int>, directions: Int) throws {
    (self.input, self.depth, self.width, self.columns) = (input, depth, width, columns)
    kernels = request.kernels
    guard let weights = try request.input(input).constant, depth > 0, !columns.isEmpty else {
      packed = nil
      return
    }
    let packing = kernels.packing(depth: depth, columns: columns.count, known: false)
    packed = try (0..<directions).map { [kernels] direction in
      try request.weights.packed(
        [weights], as: "gates \(columns) of \(direction), \(packing)", byteCount: packing.byteCount
      ) {
        let storage = try Storage(byteCount: packing.byteCount)
        kernels.pack(
          weights.data + 4 * (direction * width + columns.lowerBound) * depth, as: packing, rowStride: 1,
          columnStride: depth, into: storage.base, request.parallel)
        return storage
      }
    }
  }

  /// Bytes that a run of so many rows on one thread needs.
  func serialScratch(rows: Int) -> Int {
    packed == nil ? 0 : kernels.serialScratch(rows: rows, packing)
  }

  private var packing: Packing { kernels.packing(depth: depth, columns: columns.count, known: false) }

  /// Whether runs do without the input.
  var isPacked: Bool { packed != nil }

  /// `target[row, column] = x[row] · weights[column] + bias[column]`, of the wanted columns; rows of x touch, those of
  /// the result are `width` apart. `bias` is that of all gates. With `memory`, of `serialScratch`, on this thread alone.
  func run(
    _ run: Invocation, _ direction: Int, rows: Int, _ x: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    into target: UnsafeMutablePointer<Float>, memory: UnsafeMutableRawPointer? = nil, _ parallel: Parallel
  ) {
    let epilogue = Kernels.Epilogue(bias: bias.map { $0 + columns.lowerBound })
    if let packed {
      let weights = UnsafePointer(packed[direction].base.assumingMemoryBound(to: Float.self))
      let target = target + columns.lowerBound
      if let memory {
        return kernels.multiplySerially(
          rows: rows, x, stride: depth, weights, as: packing, into: target, stride: width, epilogue, memory: memory)
      }
      return kernels.multiply(
        rows: rows, x, stride: depth, weights, as: packing, into: target, stride: width, epilogue, parallel)
    }
    let weights: UnsafePointer<Float> = run.input(input) + (direction * width + columns.lowerBound) * depth
    kernels.multiplyTransposed(
      rows: rows, depth: depth, columns: columns.count, x, stride: depth, UnsafeRawPointer(weights),
      into: target + columns.lowerBound, stride: width, epilogue, parallel)
  }
}
