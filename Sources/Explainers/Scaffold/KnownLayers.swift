import Engine
import Kernels
import Parallel
import Tensors

/// Fully connected layers one behind the other, as classifiers end in, for rows that differ from one row in few
/// elements each.
///
/// Of the first matrix each row needs what its elements meet. Of those behind it a block of rows needs what any of its
/// rows meets with a number other than 0: of what a ReLU leaves, less than half.
struct KnownLayers {
  struct Layer {
    let product: KnownProduct
    /// What is added to the product's result.
    private(set) var added: [Float]?
    var activation: Kernels.Unary?

    init(_ product: KnownProduct) { self.product = product }

    mutating func add(_ row: [Float]) { added = Self.sum(added, row) }

    var bias: [Float]? { Self.sum(product.bias, added) }

    private static func sum(_ a: [Float]?, _ b: [Float]?) -> [Float]? {
      guard let a, let b else { return a ?? b }
      return zip(a, b).map { $0 + $1 }
    }
  }

  /// Some rows. Each differs from the row `whole` where elements `places` grow by `growth`.
  struct Rows {
    let whole, growth: UnsafePointer<Float>
    let places: [[Int]]
    /// The first product's result for `whole`, where it is known; else the elements of each row lie together, and the
    /// matrix is transposed.
    let base: [Float]?
  }

  let layers: [Layer]

  /// Of the last layer.
  var columns: Int { layers.last?.product.columns ?? 0 }

  /// Whether there is nothing but one product, and a row that is added.
  var isOneProduct: Bool { layers.count == 1 && layers[0].activation == nil }

  /// How many rows are computed together, whatever the batch.
  static var blockRows: Int { 512 }

  /// Results for the row `whole`, then for the others. Of the last layer only `columns` are wanted. Sums have one order
  /// for all rows, so that their differences have little rounding.
  func run(
    _ rows: Rows, columns: [Int], _ engine: Engine, _ parallel: Parallel, _ progress: Progress
  ) throws -> Tensor {
    let count = 1 + rows.places.count
    func wanted(_ i: Int) -> [Int] { i == layers.count - 1 ? columns : Array(0..<layers[i].product.columns) }
    func matrix(_ columns: Int) throws -> Tensor {
      let shape = try Shape(checking: [count, columns])
      try engine.limit.check(shape.count * 4, for: "\(count) rows of a fully connected layer")
      return try Tensor(.float32, shape)
    }
    var values = try matrix(wanted(0).count)
    runFirst(rows, wanted(0), into: values, engine.kernels, parallel)
    for (i, layer) in layers.enumerated().dropFirst() {
      try progress.advance(i, of: layers.count)
      let next = try matrix(wanted(i).count)
      try layer.run(values, columns: wanted(i), into: next, engine.kernels, parallel)
      values = next
    }
    return values
  }

  private func runFirst(
    _ rows: Rows, _ columns: [Int], into values: Tensor, _ kernels: Kernels, _ parallel: Parallel
  ) {
    let (layer, product) = (layers[0], layers[0].product)
    let target = values.data.assumingMemoryBound(to: Float.self)
    if let base = rows.base {
      for (n, column) in columns.enumerated() { target[n] = base[column] + (layer.added?[column] ?? 0) }
      product.add(rows.growth, at: rows.places, columns: columns, to: target, parallel)
    } else {
      product.multiply(
        rows.whole, rows.growth, at: rows.places, columns: columns, bias: layer.bias, to: target, kernels, parallel)
    }
    if let activation = layer.activation {
      kernels.unary(activation, target, into: target, count: values.count, parallel)
    }
  }
}

extension KnownLayers.Layer {
  /// `target` [rows, wanted columns] of `values` [rows, depth].
  fileprivate func run(
    _ values: Tensor, columns: [Int], into target: Tensor, _ kernels: Kernels, _ parallel: Parallel
  ) throws {
    let (rows, depth) = (values.shape[0], values.shape[1])
    let source = values.data.assumingMemoryBound(to: Float.self)
    let met = Self.met(source, rows: rows, depth: depth)
    // Rows that are a power of two apart would push each other out of the cache.
    let stride = met.count.roundedUp(to: 16) + 16
    let operand = try Tensor(.float32, Shape(checking: [rows, stride]))
    let workspace = try Storage(byteCount: kernels.pickedWorkspace(depth: met.count, threads: parallel.threads))
    let packed = operand.data.assumingMemoryBound(to: Float.self)
    let factor = product.factor
    parallel.forEach(rows, grain: 16) { range in
      for row in range {
        let (from, to) = (source + row * depth, packed + row * stride)
        for (k, place) in met.enumerated() { to[k] = factor * from[place] }
      }
    }
    func run(_ bias: UnsafePointer<Float>?) {
      kernels.multiply(
        rows: rows, packed, stride: stride, product.placed, depth: met, columns: columns,
        into: target.data.assumingMemoryBound(to: Float.self), stride: columns.count,
        Kernels.Epilogue(bias: bias, activation: activation), workspace: workspace.base, parallel)
    }
    if let bias { columns.map { bias[$0] }.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
  }

  /// The columns that are not 0 in all rows; one where all are, so that there is a sum.
  private static func met(_ values: UnsafePointer<Float>, rows: Int, depth: Int) -> [Int] {
    // Bits of all rows but their signs.
    var bits = [UInt32](repeating: 0, count: depth)
    bits.withUnsafeMutableBufferPointer { bits in
      for row in 0..<rows {
        let row = values + row * depth
        for k in 0..<depth { bits[k] |= row[k].bitPattern << 1 }
      }
    }
    let met = bits.indices.filter { bits[$0] != 0 }
    return met.isEmpty && depth > 0 ? [0] : met
  }
}
