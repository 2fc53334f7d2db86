import Kernels
import Parallel
import Testing

/// What is Winograd's own; that its sums are right, ConvolutionTests say of all convolutions.
struct WinogradTests {
  /// Points of a layer by its packed weights, its taps where it is summed directly.
  private func points(_ kernels: Kernels, _ c: Kernels.Convolution) -> Int {
    let (channels, columns) = (c.inputChannels / c.groups, c.outputChannels / c.groups)
    return kernels.packing(c, known: true).byteCount / c.groups
      / kernels.packing(depth: channels, columns: columns, known: true).byteCount
  }

  @Test("The shape of a layer decides which algorithm computes it", arguments: variants)
  func rule(kernels: Kernels) {
    let pads = (top: 1, left: 1, bottom: 1, right: 1)
    var cases: [(Kernels.Convolution, points: Int)] = [
      (.init(20, 20, 32, to: 32, kernel: (3, 3), pads: pads), 36),
      (.init(19, 40, 32, to: 32, kernel: (3, 3), pads: pads), 24),
      (.init(40, 12, 32, to: 32, kernel: (3, 3), pads: pads), 24),
      (.init(14, 14, 512, to: 512, kernel: (3, 3)), 24),
      (.init(11, 40, 32, to: 32, kernel: (3, 3), pads: pads), 24),
      (.init(40, 10, 32, to: 32, kernel: (3, 3), pads: pads), 16),
      (.init(7, 7, 512, to: 512, kernel: (3, 3), pads: pads), 16),
      (.init(6, 40, 32, to: 32, kernel: (3, 3), pads: pads), 9),
      (.init(20, 20, 31, to: 32, kernel: (3, 3), pads: pads), 9),
      (.init(20, 20, 64, to: 31, kernel: (3, 3), pads: pads), 9),
      (.init(20, 20, 128, to: 128, kernel: (3, 3), pads: pads, groups: 4), 36),
      (.init(20, 20, 128, to: 128, kernel: (3, 3), pads: pads, groups: 8), 9),
      (.init(41, 41, 32, to: 32, kernel: (3, 3), stride: (2, 1), pads: pads), 9),
      (.init(41, 41, 32, to: 32, kernel: (3, 3), dilation: (1, 2)), 9),
      (.init(27, 12, 64, to: 192, kernel: (5, 5), pads: (2, 2, 2, 2)), 36),
      (.init(7, 11, 64, to: 192, kernel: (5, 5), pads: (2, 2, 2, 2)), 36),
      (.init(27, 6, 64, to: 192, kernel: (5, 5), pads: (2, 2, 2, 2)), 25),
      (.init(27, 27, 64, to: 192, kernel: (5, 3), pads: (2, 1, 2, 1)), 15),
    ]
    for batch in [2, 64] {
      cases += cases[..<8].map { c in
        var c = c
        c.0.batch = batch
        return c
      }
    }
    for (c, expected) in cases {
      #expect(points(kernels, c) == (kernels.variant == .openblas ? c.kernelHeight * c.kernelWidth : expected), "\(c)")
    }
  }

  @Test("A sum of zeros is zero, and weights of zero leave the bias alone", arguments: variants)
  func zeros(kernels: Kernels) {
    for c in ConvolutionTests.patched {
      var test = ConvolutionCase(c, seed: 3)
      test.input = test.input.map { _ in 0 }
      let expected = test.residual.indices.map { test.bias[$0 % c.outputChannels] + test.residual[$0] }
      expectSame(test.run(kernels), expected, "\(c)")
    }
  }

  @Test("What is not finite stays within the patches that read it", arguments: variants, [Float.nan, .infinity])
  func notFinite(kernels: Kernels, value: Float) {
    for c in ConvolutionTests.patched where c.padTop == 1 && c.padLeft == 1 {
      var test = ConvolutionCase(c, seed: 8)
      let clean = test.run(kernels)
      let (y, x) = (min(9, c.inputHeight - 1), 6)
      test.input[(y * c.inputWidth + x) * c.inputChannels + 5] = value
      let got = test.run(kernels)
      for pixel in 0..<c.outputHeight * c.outputWidth {
        let (dy, dx) = (pixel / c.outputWidth - y, pixel % c.outputWidth - x)
        let range = pixel * c.outputChannels..<(pixel + 1) * c.outputChannels
        if max(Swift.abs(dy), Swift.abs(dx)) <= c.kernelHeight / 2 {
          #expect(got[range].contains { !$0.isFinite }, "\(c): \(dy), \(dx)")
        } else if max(Swift.abs(dy), Swift.abs(dx)) > 4 {
          expectSame(Array(got[range]), Array(clean[range]), "\(c): \(dy), \(dx)")
        }
      }
    }
  }

  @Test("Many blocks of patches, of several images, give the bits of one image alone", arguments: variants)
  func blocks(kernels: Kernels) {
    for c in [
      Kernels.Convolution(batch: 3, 44, 47, 32, to: 33, kernel: (3, 3), pads: (1, 1, 1, 1)),
      Kernels.Convolution(batch: 13, 15, 14, 112, to: 116, kernel: (3, 3), pads: (1, 1, 1, 1)),
      Kernels.Convolution(batch: 60, 7, 8, 40, to: 33, kernel: (3, 3), pads: (1, 1, 1, 1)),
      Kernels.Convolution(batch: 5, 7, 7, 160, to: 164, kernel: (3, 3), pads: (1, 1, 1, 1)),
      Kernels.Convolution(batch: 3, 25, 26, 40, to: 33, kernel: (5, 5), pads: (2, 2, 2, 2)),
    ] {
      let test = ConvolutionCase(c, seed: 12)
      let whole = test.run(kernels)
      for threads in [2, 5] { expectSame(test.run(kernels, threads: threads), whole, "\(threads) threads") }
      let parts = (0..<c.batch).flatMap { test.part($0, 1).run(kernels) }
      expectSame(parts, whole, "batch of \(c.batch) = \(c.batch) images")
    }
  }
}
