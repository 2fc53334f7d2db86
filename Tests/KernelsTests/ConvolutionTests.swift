import Kernels
import Parallel
import Testing

/// A convolution with its operands, in the layouts of ONNX's weights and of channels-last pictures.
struct ConvolutionCase {
  var c: Kernels.Convolution
  var input, weights: [Float]
  let bias, residual: [Float]
  var activation: Kernels.Unary?

  init(_ c: Kernels.Convolution, seed: Int, activation: Kernels.Unary? = nil) {
    self.c = c
    self.activation = activation
    var g = Generator(seed)
    input = g.floats(c.batch * c.inputHeight * c.inputWidth * c.inputChannels)
    weights = g.floats(c.outputChannels * c.inputChannels / c.groups * c.kernelHeight * c.kernelWidth)
    bias = g.floats(c.outputChannels)
    residual = g.floats(c.outputCount)
  }

  /// The sum before the activation, in double precision. The error of Winograd's algorithm is in proportion to all
  /// numbers of a patch, not to those of one sum.
  func expected() -> [Expected] {
    let sums = directlyExpected()
    let isPatched = ConvolutionTests.patched.contains {
      $0.outputChannels == c.outputChannels && $0.inputHeight == c.inputHeight
    }
    guard isPatched else { return sums }
    let tolerance = sums.map(\.tolerance).max() ?? 0
    return sums.map { Expected(value: $0.value, tolerance: tolerance) }
  }

  private func directlyExpected() -> [Expected] {
    let channels = c.inputChannels / c.groups
    let columns = c.outputChannels / c.groups
    var result: [Expected] = []
    for n in 0..<c.batch {
      for y in 0..<c.outputHeight {
        for x in 0..<c.outputWidth {
          for out in 0..<c.outputChannels {
            var sum = Double(bias[out]) + Double(residual[result.count])
            var size = Swift.abs(sum)
            for ky in 0..<c.kernelHeight {
              for kx in 0..<c.kernelWidth {
                let iy = y * c.strideY - c.padTop + ky * c.dilationY
                let ix = x * c.strideX - c.padLeft + kx * c.dilationX
                guard iy >= 0, iy < c.inputHeight, ix >= 0, ix < c.inputWidth else { continue }
                for k in 0..<channels {
                  let channel = out / columns * channels + k
                  let a = input[((n * c.inputHeight + iy) * c.inputWidth + ix) * c.inputChannels + channel]
                  let w = weights[((out * channels + k) * c.kernelHeight + ky) * c.kernelWidth + kx]
                  sum += Double(a) * Double(w)
                  size += Swift.abs(Double(a) * Double(w))
                }
              }
            }
            result.append(Expected(value: sum, tolerance: 1e-6 * size))
          }
        }
      }
    }
    return result
  }

  func run(_ kernels: Kernels, threads: Int = 1, misaligned: Bool = false, known: Bool = true) -> [Float] {
    let parallel = Parallel(threads: threads)
    return withAligned(4 * weights.count + 1) { source in
      let source = source + (misaligned ? 1 : 0)
      weights.withUnsafeBytes { source.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      let packing = kernels.packing(c, known: known)
      return withAligned(packing.byteCount) { memory in
        let packed = memory.assumingMemoryBound(to: Float.self)
        kernels.pack(source, as: packing, into: memory, parallel)
        return withAligned(kernels.convolutionWorkspace(c, packing, threads: threads)) { workspace in
          floats(c.outputCount) {
            kernels.convolve(
              c, input, packed, as: packing, into: $0, .init(bias: bias, residual: residual, activation: activation),
              workspace: workspace, parallel)
          }
        }
      }
    }
  }

  /// The pictures from `first` on, `count` of them, on their own.
  func part(_ first: Int, _ count: Int) -> ConvolutionCase {
    var part = self
    part.c.batch = count
    let inputs = input.count / c.batch
    let outputs = residual.count / c.batch
    return ConvolutionCase(
      part.c, Array(input[first * inputs..<(first + count) * inputs]), weights, bias,
      Array(residual[first * outputs..<(first + count) * outputs]), activation)
  }

  private init(
    _ c: Kernels.Convolution, _ input: [Float], _ weights: [Float], _ bias: [Float], _ residual: [Float],
    _ activation: Kernels.Unary?
  ) {
    self.c = c
    self.input = input
    self.weights = weights
    self.bias = bias
    self.residual = residual
    self.activation = activation
  }
}

extension Kernels.Convolution {
  var outputCount: Int { batch * outputHeight * outputWidth * outputChannels }

  /// Output extents as ONNX derives them.
  init(
    batch: Int = 1, _ height: Int, _ width: Int, _ channels: Int, to outputChannels: Int, kernel: (Int, Int),
    stride: (Int, Int) = (1, 1), pads: (top: Int, left: Int, bottom: Int, right: Int) = (0, 0, 0, 0),
    dilation: (Int, Int) = (1, 1), groups: Int = 1
  ) {
    let spanY = (kernel.0 - 1) * dilation.0 + 1
    let spanX = (kernel.1 - 1) * dilation.1 + 1
    self.init(
      batch: batch, inputHeight: height, inputWidth: width, inputChannels: channels,
      outputHeight: (height + pads.top + pads.bottom - spanY) / stride.0 + 1,
      outputWidth: (width + pads.left + pads.right - spanX) / stride.1 + 1,
      outputChannels: outputChannels, kernelHeight: kernel.0, kernelWidth: kernel.1, strideY: stride.0,
      strideX: stride.1, padTop: pads.top, padLeft: pads.left, dilationY: dilation.0, dilationX: dilation.1,
      groups: groups)
  }
}

struct ConvolutionTests {
  static let cases: [Kernels.Convolution] = [
    .init(9, 8, 16, to: 64, kernel: (1, 1)),
    .init(5, 7, 5, to: 9, kernel: (1, 1), stride: (2, 2)),
    .init(7, 7, 20, to: 33, kernel: (3, 3), pads: (1, 1, 1, 1)),
    .init(11, 6, 9, to: 17, kernel: (3, 2), stride: (2, 1), pads: (0, 1, 2, 0)),
    .init(10, 12, 12, to: 70, kernel: (3, 3), pads: (2, 2, 2, 2), dilation: (2, 3)),
    .init(23, 19, 3, to: 13, kernel: (7, 7), stride: (2, 2), pads: (3, 3, 3, 3)),
    .init(6, 5, 1, to: 3, kernel: (2, 4), stride: (1, 3), pads: (1, 4, 0, 1)),
    .init(4, 9, 3, to: 8, kernel: (3, 3), stride: (3, 4), pads: (2, 1, 1, 2), dilation: (2, 1)),
    .init(8, 8, 24, to: 36, kernel: (3, 3), pads: (1, 1, 1, 1), groups: 2),
    .init(6, 6, 12, to: 6, kernel: (3, 3), pads: (1, 1, 1, 1), groups: 3),
    .init(1, 40, 10, to: 100, kernel: (1, 5), pads: (0, 2, 0, 2)),
    .init(40, 41, 18, to: 10, kernel: (3, 3), pads: (1, 1, 1, 1)),
  ] + patched

  /// Those that Winograd's algorithm computes.
  static let patched: [Kernels.Convolution] = [
    .init(20, 23, 32, to: 40, kernel: (3, 3), pads: (1, 1, 1, 1)),
    .init(25, 22, 37, to: 33, kernel: (3, 3)),
    .init(13, 15, 33, to: 45, kernel: (3, 3), pads: (1, 0, 0, 2)),
    .init(21, 20, 70, to: 64, kernel: (3, 3), pads: (2, 2, 2, 2), groups: 2),
    .init(17, 14, 32, to: 32, kernel: (3, 3), pads: (-1, 2, 3, -2)),
    .init(11, 18, 104, to: 116, kernel: (3, 3), pads: (2, 1, 1, 1)),
    .init(7, 7, 64, to: 40, kernel: (3, 3), pads: (1, 1, 1, 1)),
    .init(12, 9, 37, to: 33, kernel: (3, 3)),
    .init(8, 15, 66, to: 78, kernel: (3, 3), pads: (2, 0, 1, 3), groups: 2),
    .init(9, 7, 33, to: 39, kernel: (5, 5), pads: (2, 2, 2, 2)),
    .init(15, 18, 33, to: 39, kernel: (5, 5), pads: (2, 2, 2, 2)),
    .init(16, 19, 64, to: 70, kernel: (5, 5), pads: (1, 0, 2, 3), groups: 2),
  ]

  @Test("A convolution equals the sums in double precision", arguments: variants, cases.indices)
  func convolution(kernels: Kernels, index: Int) {
    let test = ConvolutionCase(Self.cases[index], seed: index + 1)
    expect(test.run(kernels), test.expected(), "\(test.c)")
    expectSame(test.run(kernels, misaligned: true), test.run(kernels), "misaligned weights")
  }

  @Test("Rows and columns of every remainder are right", arguments: variants)
  func remainders(kernels: Kernels) {
    for width in 1...20 {
      let test = ConvolutionCase(.init(1, width, 4, to: 67 - width, kernel: (1, 1)), seed: width)
      expect(test.run(kernels), test.expected(), "\(width) pixels")
    }
    for columns in 1...67 {
      let test = ConvolutionCase(.init(1, 3, 7, to: columns, kernel: (1, 2), pads: (0, 1, 0, 0)), seed: columns)
      expect(test.run(kernels), test.expected(), "\(columns) columns")
    }
  }

  @Test("Any number of threads and any split of a batch give the same bits", arguments: variants, cases.indices)
  func sameBits(kernels: Kernels, index: Int) {
    var c = Self.cases[index]
    c.batch = 3
    let test = ConvolutionCase(c, seed: index, activation: .relu)
    let whole = test.run(kernels)
    for threads in 2...3 { expectSame(test.run(kernels, threads: threads), whole, "\(threads) threads") }
    let parts = test.part(0, 1).run(kernels) + test.part(1, 2).run(kernels, threads: 2)
    expectSame(parts, whole, "batch of 3 = batch of 1 + batch of 2")
  }

  @Test("The epilogue applies the activation after bias and residual", arguments: variants)
  func activations(kernels: Kernels) {
    for c in [Kernels.Convolution(5, 5, 8, to: 21, kernel: (3, 3), pads: (1, 1, 1, 1)), Self.patched[1]] {
      let sums = ConvolutionCase(c, seed: 4).run(kernels)
      for activation: Kernels.Unary in [.relu, .clip(-0.5, 0.25), .silu, .hardSwish] {
        let got = ConvolutionCase(c, seed: 4, activation: activation).run(kernels)
        let expected = floats(sums.count) {
          kernels.unary(activation, sums, into: $0, count: sums.count, .serial)
        }
        expectSame(got, expected, "\(activation)")
      }
    }
  }
}
