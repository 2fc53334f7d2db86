import CEmulatedTiles
import Kernels
import Parallel
import Testing

/// AMX's kernels, by the processor's instructions or by their emulation, with leave to round or to split; none on
/// processors without AVX512-BF16, which they need beside.
private let tiled: [Kernels] = {
  guard let native = try? Kernels(.avx512), native.within(.bfloat16).computedPrecision == .bfloat16 else { return [] }
  _ = lp_emulate_tiles()
  return [native.within(.bfloat16).with(tiles: true), native.within(.fast).with(tiles: true)]
}()

extension Kernels {
  fileprivate var isSplit: Bool { precision == .fast }
}

struct TileTests {
  /// Whole steps of 32 channels; rows and columns that fill tiles, and that do not.
  static let sizes = [
    MatrixTests.Size(rows: 1, depth: 384, columns: 32), MatrixTests.Size(rows: 16, depth: 416, columns: 33),
    MatrixTests.Size(rows: 17, depth: 512, columns: 100), MatrixTests.Size(rows: 301, depth: 384, columns: 40),
  ]
  static let convolutions: [Kernels.Convolution] = [
    .init(7, 6, 384, to: 48, kernel: (1, 1)),
    .init(7, 7, 384, to: 33, kernel: (3, 3), pads: (1, 1, 1, 1)),
    .init(9, 8, 768, to: 64, kernel: (3, 2), stride: (2, 1), pads: (0, 1, 2, 0), groups: 2),
  ]
  /// Of split numbers: 2⁻¹⁶ of each product.
  static let restError = 1.6e-5

  /// As in float32 of rounded factors, or nearly as in float32.
  private func expected(_ kernels: Kernels, _ rounded: [Expected], _ plain: [Expected]) -> [Expected] {
    guard kernels.isSplit else { return rounded }
    return plain.map { Expected(value: $0.value, tolerance: $0.tolerance * Self.restError / 1e-6) }
  }

  @Test("A product is that of rounded factors, or of split ones, for any threads", arguments: tiled)
  func multiply(kernels: Kernels) {
    #expect(kernels.computedPrecision == kernels.precision && kernels.precisionNote == nil)
    for (i, size) in Self.sizes.enumerated() {
      let product = MatrixTests.Product(size, seed: i + 1)
      let packing = kernels.packing(depth: size.depth, columns: size.columns, known: true)
      #expect(packing.numbers == (kernels.isSplit ? .splitBFloat16 : .bfloat16))
      let before = lp_emulate_tiles()
      let whole = product.run(kernels)
      #expect(lp_emulate_tiles() > before || kernels.within(.fast).computedPrecision == .fast)
      expect(whole, expected(kernels, product.rounded.expected(), product.expected()), "\(size)")
      for threads in 2...3 { expectSame(product.run(kernels, threads: threads), whole, "\(threads) threads") }
    }
  }

  @Test("Split factors are a hundred times as exact as rounded ones")
  func split() {
    guard let rounding = tiled.first, let splitting = tiled.last else { return }
    let product = MatrixTests.Product(Self.sizes[3], seed: 9)
    func error(_ got: [Float]) -> Double {
      zip(got, product.expected()).reduce(0) { $1.1.value.isNaN ? $0 : max($0, abs(Double($1.0) - $1.1.value)) }
    }
    let (rounded, split) = (error(product.run(rounding)), error(product.run(splitting)))
    #expect(split < rounded / 100 && split > 0)
  }

  @Test("A row does not depend on the other rows", arguments: tiled)
  func rowsAlone(kernels: Kernels) {
    MatrixTests.Product(Self.sizes[2], seed: 3).expectRowsAlone(kernels)
  }

  @Test("A convolution has the same bits for any threads and batch", arguments: tiled, convolutions.indices)
  func convolution(kernels: Kernels, index: Int) {
    let one = ConvolutionCase(Self.convolutions[index], seed: index + 1)
    #expect(kernels.packing(one.c, known: true).numbers == (kernels.isSplit ? .splitBFloat16 : .bfloat16))
    expect(one.run(kernels), expected(kernels, one.rounded.expected(), one.expected()), "\(one.c)")
    one.expectSameBits(kernels, seed: index)
  }

  @Test("Infinities and NaN stay what they are", arguments: tiled)
  func special(kernels: Kernels) {
    var product = MatrixTests.Product(Self.sizes[1], seed: 4)
    for (row, value) in [Float.infinity, -.infinity, .nan].enumerated() { product.a[row * product.aStride + 7] = value }
    let got = product.run(kernels)
    for n in 0..<product.size.columns {
      // Where a weight has no rest, infinity times that is NaN.
      #expect(!got[n].isFinite && !got[product.cStride + n].isFinite && got[2 * product.cStride + n].isNaN)
      #expect(got[3 * product.cStride + n].isFinite)
    }
  }

  @Test("Channels that are no whole steps are multiplied by AVX512-BF16, or in float32", arguments: tiled)
  func uneven(kernels: Kernels) {
    let product = MatrixTests.Product(PrecisionTests.sizes[2], seed: 6)
    expectSame(product.run(kernels), product.run(kernels.with(tiles: false)), "511 channels")
  }
}
