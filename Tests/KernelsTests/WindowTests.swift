import Kernels
import Parallel
import Testing

struct DepthwiseTests {
  static let cases: [Kernels.Convolution] = [
    .init(8, 9, 16, to: 16, kernel: (3, 3), pads: (1, 1, 1, 1), groups: 16),
    .init(batch: 2, 7, 5, 37, to: 37, kernel: (7, 7), pads: (3, 3, 3, 3), groups: 37),
    .init(9, 10, 5, to: 5, kernel: (3, 2), stride: (2, 3), pads: (0, 1, 2, 0), dilation: (1, 2), groups: 5),
    .init(11, 15, 20, to: 20, kernel: (3, 5), stride: (2, 1), pads: (2, -1, 1, 3), dilation: (2, 1), groups: 20),
    .init(31, 20, 20, to: 20, kernel: (5, 5), pads: (7, 2, 6, 9), groups: 20),
    .init(3, 30, 16, to: 16, kernel: (5, 3), pads: (4, 3, 4, 2), groups: 16),
    .init(1, 9, 33, to: 33, kernel: (1, 9), pads: (0, 4, 0, 4), groups: 33),
  ]

  @Test("A depthwise convolution equals the sums in double precision", arguments: variants, cases.indices)
  func depthwise(kernels: Kernels, index: Int) {
    let test = ConvolutionCase(Self.cases[index], seed: index + 50)
    func run(_ threads: Int, _ activation: Kernels.Unary?) -> [Float] {
      var test = test
      test.activation = activation
      return test.run(kernels, threads: threads)
    }
    let sums = run(1, nil)
    expect(sums, test.expected(), "\(test.c)")
    expectSame(run(2, nil), sums, "two threads")
    let silu = floats(sums.count) { kernels.unary(.silu, sums, into: $0, count: sums.count, .serial) }
    expectSame(run(1, .silu), silu, "silu")
  }
}

struct PoolingTests {
  /// Extents of the output are given, as ceil_mode makes them reach beyond the padding.
  static let cases: [Kernels.Pooling] = [
    .init(
      batch: 2, inputHeight: 9, inputWidth: 8, channels: 37, outputHeight: 5, outputWidth: 4, kernelHeight: 3,
      kernelWidth: 3, strideY: 2, strideX: 2, padTop: 1, padLeft: 1, padBottom: 1, padRight: 0),
    .init(
      batch: 1, inputHeight: 6, inputWidth: 7, channels: 64, outputHeight: 1, outputWidth: 1, kernelHeight: 6,
      kernelWidth: 7),
    .init(
      batch: 1, inputHeight: 6, inputWidth: 6, channels: 5, outputHeight: 4, outputWidth: 3, kernelHeight: 2,
      kernelWidth: 3, strideY: 2, strideX: 3, padTop: 1, padLeft: 2, padBottom: 0, padRight: 1, dilationY: 2,
      dilationX: 1, countIncludePad: true),
  ]

  @Test("Pooling equals its definition", arguments: variants, cases.indices)
  func pooling(kernels: Kernels, index: Int) {
    let p = Self.cases[index]
    var g = Generator(index + 70)
    let input = g.floats(p.batch * p.inputHeight * p.inputWidth * p.channels)
    let count = p.batch * p.outputHeight * p.outputWidth * p.channels
    for threads in 1...2 {
      let parallel = Parallel(threads: threads)
      let most = floats(count) { kernels.poolMaximum(p, input, into: $0, parallel) }
      let mean = floats(count) { kernels.poolAverage(p, input, into: $0, parallel) }
      let expected = expected(p, input)
      expect(most, expected.maximum, "maximum")
      expect(mean, expected.mean, "mean")
    }
  }

  @Test("The largest of a window with NaN is NaN, and of no pixels at all -infinity", arguments: variants)
  func special(kernels: Kernels) {
    let p = Kernels.Pooling(
      batch: 1, inputHeight: 1, inputWidth: 3, channels: 1, outputHeight: 1, outputWidth: 3, kernelHeight: 1,
      kernelWidth: 2, strideX: 2, padLeft: 2)
    let got = floats(3) { kernels.poolMaximum(p, [Float.nan, 1, 2], into: $0, .serial) }
    expectSame([got[0], got[2]], [-.infinity, 2], "pads only, numbers")
    #expect(got[1].isNaN)
  }

  func expected(_ p: Kernels.Pooling, _ input: [Float]) -> (maximum: [Expected], mean: [Expected]) {
    var result: (maximum: [Expected], mean: [Expected]) = ([], [])
    for n in 0..<p.batch {
      for y in 0..<p.outputHeight {
        for x in 0..<p.outputWidth {
          for c in 0..<p.channels {
            var most = -Double.infinity, sum = 0.0, inside = 0.0, padded = 0.0
            for ky in 0..<p.kernelHeight {
              for kx in 0..<p.kernelWidth {
                let iy = y * p.strideY - p.padTop + ky * p.dilationY
                let ix = x * p.strideX - p.padLeft + kx * p.dilationX
                if iy < p.inputHeight + p.padBottom && ix < p.inputWidth + p.padRight { padded += 1 }
                guard iy >= 0, iy < p.inputHeight, ix >= 0, ix < p.inputWidth else { continue }
                let v = Double(input[((n * p.inputHeight + iy) * p.inputWidth + ix) * p.channels + c])
                inside += 1
                sum += v
                most = max(most, v)
              }
            }
            let divisor = p.countIncludePad ? padded : inside
            result.maximum.append(Expected(value: most, tolerance: 0))
            result.mean.append(Expected(value: sum / max(1, divisor), tolerance: 1e-6))
          }
        }
      }
    }
    return result
  }
}
