import Glibc
import Kernels
import Parallel
import Testing

struct MatrixTests {
  struct Size {
    var rows, depth, columns: Int
  }
  static let sizes = [
    Size(rows: 1, depth: 1, columns: 1), Size(rows: 7, depth: 13, columns: 5), Size(rows: 50, depth: 33, columns: 70),
    Size(rows: 3, depth: 100, columns: 129), Size(rows: 301, depth: 8, columns: 16),
    Size(rows: 8, depth: 0, columns: 9), Size(rows: 26, depth: 300, columns: 40),
    Size(rows: 49, depth: 600, columns: 320),
    Size(rows: 130, depth: 9, columns: 458),
  ]

  /// A product with room between the rows of both operands.
  struct Product {
    let size: Size
    let aStride, cStride: Int
    var a, b: [Float]
    let bias, residual: [Float]

    init(_ size: Size, seed: Int) {
      var g = Generator(seed)
      self.size = size
      aStride = size.depth + 3
      cStride = size.columns + 2
      a = g.floats(size.rows * aStride)
      b = g.floats(size.depth * size.columns)
      bias = g.floats(size.columns)
      residual = g.floats(size.rows * cStride)
    }

    /// `b` is [depth, columns].
    func expected(scale: [Float]? = nil) -> [Expected] {
      var result = [Expected](
        repeating: Expected(value: .nan, tolerance: 0), count: size.rows * cStride)
      for m in 0..<size.rows {
        for n in 0..<size.columns {
          var sum = Double(bias[n]) + Double(residual[m * cStride + n])
          var magnitude = Swift.abs(sum)
          for k in 0..<size.depth {
            let term =
              Double(a[m * aStride + k]) * Double(b[k * size.columns + n]) * Double(scale?[n] ?? 1)
            sum += term
            magnitude += Swift.abs(term)
          }
          result[m * cStride + n] = Expected(value: sum, tolerance: 1e-6 * magnitude)
        }
      }
      return result
    }

    func run(_ kernels: Kernels, threads: Int = 1, known: Bool = true, scale: [Float]? = nil) -> [Float] {
      let parallel = Parallel(threads: threads)
      let packing = kernels.packing(depth: size.depth, columns: size.columns, known: known)
      let packed = floats(packing.byteCount / 4) { packed in
        b.withUnsafeBytes {
          kernels.pack(
            $0.baseAddress ?? UnsafeRawPointer(packed), as: packing, rowStride: size.columns, columnStride: 1,
            scale: scale, into: packed, parallel)
        }
      }
      return withAligned(kernels.productWorkspace(rows: size.rows, packing, threads: threads)) { workspace in
        floats(size.rows * cStride) {
          kernels.multiply(
            rows: size.rows, a, stride: aStride, packed, as: packing, into: $0, stride: cStride,
            .init(bias: bias, residual: residual), workspace: workspace, parallel)
        }
      }
    }

    func runTransposed(_ kernels: Kernels, threads: Int = 1, activation: Kernels.Unary? = nil) -> [Float] {
      withAligned(4 * b.count + 1) { memory in
        for k in 0..<size.depth {
          for n in 0..<size.columns {
            (memory + 1).storeBytes(
              of: b[k * size.columns + n], toByteOffset: 4 * (n * size.depth + k), as: Float.self)
          }
        }
        return floats(size.rows * cStride) {
          kernels.multiplyTransposed(
            rows: size.rows, depth: size.depth, columns: size.columns, a, stride: aStride, memory + 1, into: $0,
            stride: cStride, .init(bias: bias, residual: residual, activation: activation),
            Parallel(threads: threads))
        }
      }
    }
  }

  @Test("A product equals the sums in double precision, and leaves what lies between its rows", arguments: variants)
  func multiply(kernels: Kernels) {
    for (i, size) in Self.sizes.enumerated() {
      let product = Product(size, seed: i + 1)
      let whole = product.run(kernels)
      expect(whole, product.expected(), "\(size)")
      for threads in 2...3 { expectSame(product.run(kernels, threads: threads), whole, "\(threads) threads") }
    }
  }

  @Test("Long sums are taken in runs: their rounding is a quarter of that of one chain", arguments: variants)
  func runs(kernels: Kernels) {
    guard kernels.variant != .openblas else { return }  // it chooses its own order
    let size = Size(rows: 24, depth: 4096, columns: 40)
    let product = Product(size, seed: 5)
    let (got, expected) = (product.run(kernels), product.expected())
    var chain = [Float](repeating: 0, count: got.count)
    for m in 0..<size.rows {
      for n in 0..<size.columns {
        var sum: Float = 0
        for k in 0..<size.depth { sum.addProduct(product.a[m * product.aStride + k], product.b[k * size.columns + n]) }
        chain[m * product.cStride + n] = sum + product.bias[n] + product.residual[m * product.cStride + n]
      }
    }
    func error(_ sums: [Float]) -> Double {
      zip(sums, expected).reduce(0) { $1.1.value.isNaN ? $0 : $0 + pow(Double($1.0) - $1.1.value, 2) }.squareRoot()
    }
    #expect(error(got) < 0.25 * error(chain), "\(error(got)) of \(error(chain))")
  }

  @Test("Packing multiplies each column by its scale", arguments: variants)
  func scale(kernels: Kernels) {
    let product = Product(Size(rows: 5, depth: 12, columns: 37), seed: 9)
    var g = Generator(10)
    let scale = g.floats(37)
    expect(product.run(kernels, scale: scale), product.expected(scale: scale), "scaled")
  }

  @Test("A product with a transposed, misaligned matrix equals the sums in double precision", arguments: variants)
  func multiplyTransposed(kernels: Kernels) {
    // Also many rows, more than a block has, of which each pass takes a part of the depth.
    let deep = [7, 48, 55].map { Size(rows: $0, depth: 1031 + 1024 * ($0 % 2), columns: $0 % 2 == 0 ? 37 : 6) }
    for (i, size) in (Self.sizes + deep).enumerated() {
      let product = Product(size, seed: i + 20)
      let whole = product.runTransposed(kernels)
      expect(whole, product.expected(), "\(size)")
      for threads in 2...3 { expectSame(product.runTransposed(kernels, threads: threads), whole, "threads") }
    }
  }

  @Test("A row of a product does not depend on the other rows", arguments: variants)
  func rowsAlone(kernels: Kernels) {
    for (rows, depth, columns) in [(8, 50, 21), (50, 2060, 37)] {
      rowsAlone(kernels, Product(Size(rows: rows, depth: depth, columns: columns), seed: 3))
    }
  }

  private func rowsAlone(_ kernels: Kernels, _ product: Product) {
    let all = product.run(kernels)
    let allTransposed = product.runTransposed(kernels)
    for row in 0..<product.size.rows {
      let one = Product(product, row: row)
      let place = row * product.cStride..<(row + 1) * product.cStride
      // How OpenBLAS adds up depends on the number of rows.
      if kernels.variant != .openblas { expectSame(one.run(kernels), Array(all[place]), "row \(row)") }
      expectSame(one.runTransposed(kernels), Array(allTransposed[place]), "row \(row), transposed")
    }
  }
}

extension MatrixTests.Product {
  /// One row of another product.
  init(_ whole: Self, row: Int) {
    size = .init(rows: 1, depth: whole.size.depth, columns: whole.size.columns)
    aStride = whole.aStride
    cStride = whole.cStride
    a = Array(whole.a[row * aStride..<(row + 1) * aStride])
    b = whole.b
    bias = whole.bias
    residual = Array(whole.residual[row * cStride..<(row + 1) * cStride])
  }
}
