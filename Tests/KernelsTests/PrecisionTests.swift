import Kernels
import Parallel
import Testing

/// Products in bfloat16: by the code that AVX-512 runs, compiled for any processor, and by its instructions where
/// there are any.
private let rounding: [Kernels] = {
  let native = (try? Kernels(.avx512))?.within(.bfloat16).with(tiles: false)
  return [Kernels.emulatedBFloat16] + (native.map { $0.computedPrecision == .bfloat16 ? [$0] : [] } ?? [])
}()

extension Float {
  /// The nearest number of eight bits, ties to even.
  var rounded8: Float { Float(bitPattern: (bitPattern + 0x7fff + (bitPattern >> 16) & 1) & 0xffff_0000) }
}

struct PrecisionTests {
  static let sizes = [
    MatrixTests.Size(rows: 1, depth: 384, columns: 16), MatrixTests.Size(rows: 29, depth: 385, columns: 33),
    MatrixTests.Size(rows: 7, depth: 511, columns: 100), MatrixTests.Size(rows: 301, depth: 400, columns: 40),
  ]
  static let convolutions: [Kernels.Convolution] = [
    .init(7, 6, 384, to: 48, kernel: (1, 1)),
    .init(7, 7, 385, to: 33, kernel: (3, 3), pads: (1, 1, 1, 1)),
    .init(9, 8, 770, to: 64, kernel: (3, 2), stride: (2, 1), pads: (0, 1, 2, 0), groups: 2),
    .init(13, 12, 384, to: 32, kernel: (3, 3), pads: (1, 1, 1, 1)),
  ]

  @Test("A product is that of rounded factors, summed in float32", arguments: rounding)
  func multiply(kernels: Kernels) {
    #expect(kernels.precision == .bfloat16 && kernels.computedPrecision == .bfloat16)
    for (i, size) in Self.sizes.enumerated() {
      let product = MatrixTests.Product(size, seed: i + 1)
      let whole = product.run(kernels)
      expect(whole, product.rounded.expected(), "\(size)")
      for threads in 2...3 { expectSame(product.run(kernels, threads: threads), whole, "\(threads) threads") }
      let packing = kernels.packing(depth: size.depth, columns: size.columns, known: true)
      let plain = Kernels.sixteenLanes.packing(depth: size.depth, columns: size.columns, known: true)
      #expect(packing.numbers == .bfloat16)
      #expect(packing.byteCount == plain.byteCount / size.depth * ((size.depth + 1) / 2))
    }
  }

  @Test("A row does not depend on the other rows", arguments: rounding)
  func rowsAlone(kernels: Kernels) {
    MatrixTests.Product(Self.sizes[2], seed: 3).expectRowsAlone(kernels)
  }

  @Test("A convolution is that of rounded factors, with the same bits for any threads and batch",
    arguments: rounding, convolutions.indices)
  func convolution(kernels: Kernels, index: Int) {
    let one = ConvolutionCase(Self.convolutions[index], seed: index + 1)
    #expect(kernels.packing(one.c, known: true).numbers == .bfloat16)
    expect(one.run(kernels), one.rounded.expected(), "\(one.c)")
    one.expectSameBits(kernels, seed: index)
  }

  @Test("The emulated instructions have the bits of the processor's")
  func emulation() {
    guard let native = rounding.dropFirst().first else { return }
    for (i, size) in Self.sizes.enumerated() {
      let product = MatrixTests.Product(size, seed: i + 40)
      expectSame(product.run(native), product.run(.emulatedBFloat16), "\(size)")
    }
  }

  @Test("Few channels, large maps of 3×3 and weights that a run brings are computed in float32", arguments: rounding)
  func unrounded(kernels: Kernels) {
    let plain = kernels.within(.float32)
    for c in ConvolutionTests.cases {
      let test = ConvolutionCase(c, seed: 5)
      expectSame(test.run(kernels), test.run(plain), "\(c)")
    }
    let large = Kernels.Convolution(20, 20, 384, to: 384, kernel: (3, 3), pads: (1, 1, 1, 1))
    #expect(kernels.packing(large, known: true) == plain.packing(large, known: true))
    let product = MatrixTests.Product(Self.sizes[1], seed: 6)
    expectSame(product.run(kernels, known: false), product.run(plain), "weights that are fed")
    let test = ConvolutionCase(Self.convolutions[1], seed: 7)
    expectSame(test.run(kernels, known: false), test.run(plain), "weights that are fed")
  }

  @Test("Where the processor has nothing faster, a precision is float32, and says so", arguments: variants)
  func fallback(kernels: Kernels) {
    let fast = kernels.within(.fast).with(tiles: false)
    #expect(fast.precision == .fast && fast.computedPrecision == .float32)
    #expect(
      fast.precisionNote
        == "fast is computed as float32: it needs a processor with AMX, and this one runs the kernels "
        + kernels.description)
    #expect(kernels.within(.float32).precisionNote == nil)
    if kernels.variant == .avx512 { return }
    let rounded = kernels.within(.bfloat16)
    #expect(rounded.precision == .bfloat16 && rounded.computedPrecision == .float32)
    #expect(
      rounded.precisionNote
        == "bfloat16 is computed as float32: it needs a processor with AVX512-BF16, and this one runs the kernels "
        + kernels.description)
    let product = MatrixTests.Product(Self.sizes[0], seed: 8)
    expectSame(product.run(rounded), product.run(kernels), "float32")
  }
}

extension MatrixTests.Product {
  /// That a row of the product does not depend on the other rows.
  func expectRowsAlone(_ kernels: Kernels) {
    let all = run(kernels)
    for row in 0..<size.rows {
      let one = MatrixTests.Product(self, row: row)
      expectSame(one.run(kernels), Array(all[row * cStride..<(row + 1) * cStride]), "row \(row)")
    }
  }

  /// The same of rounded factors.
  var rounded: Self {
    var copy = self
    copy.a = a.map(\.rounded8)
    copy.b = b.map(\.rounded8)
    return copy
  }
}

extension ConvolutionCase {
  /// That wherever the weights lie, and for any threads and batch, the bits are the same.
  func expectSameBits(_ kernels: Kernels, seed: Int) {
    expectSame(run(kernels, misaligned: true), run(kernels), "misaligned weights")
    var c = c
    c.batch = 3
    let test = ConvolutionCase(c, seed: seed, activation: .relu)
    let whole = test.run(kernels)
    for threads in 2...3 { expectSame(test.run(kernels, threads: threads), whole, "\(threads) threads") }
    expectSame(test.part(0, 1).run(kernels) + test.part(1, 2).run(kernels, threads: 2), whole, "1 + 2 images")
  }

  var rounded: Self {
    var copy = self
    copy.input = input.map(\.rounded8)
    copy.weights = weights.map(\.rounded8)
    return copy
  }
}
