import Kernels
import Parallel
import Testing

/// Kernels of regions, against those of whole layers, of forms of one image that differ from it in a rectangle each.
struct RegionTests {
  /// The forms: nothing, a corner, the last pixel, odd rectangles, a row, everything.
  private static func regions(_ height: Int, _ width: Int) -> [Region] {
    [
      .empty, Region(rows: 0..<min(2, height), columns: 0..<1),
      Region(rows: height - 1..<height, columns: width - 1..<width),
      Region(rows: height / 3..<height / 3 + 1, columns: width / 4..<max(width / 4 + 1, width / 2)),
      Region(rows: height / 4..<max(height / 4 + 1, 3 * height / 4), columns: width / 2..<width / 2 + 1),
      Region(rows: height / 2..<height / 2 + 1, columns: 0..<width), Region(rows: 0..<height, columns: 0..<width),
    ]
  }

  /// Maps of an image, and those of its forms.
  private struct Forms {
    let height, width, channels: Int
    let list: RegionList
    let whole, parts: [Float]

    init(_ height: Int, _ width: Int, _ channels: Int, _ whole: [Float], seed: Int) {
      (self.height, self.width, self.channels, self.whole) = (height, width, channels, whole)
      var g = Generator(seed)
      list = RegionList(RegionTests.regions(height, width))
      parts = g.floats(list.count * channels)
    }

    func withMaps<R>(_ body: (PatchedMaps) -> R) -> R {
      whole.withUnsafeBufferPointer { whole in
        (parts + [0]).withUnsafeBufferPointer { parts in
          body(
            PatchedMaps(
              height: height, width: width, channels: channels, whole: whole.baseAddress!, list: list,
              parts: parts.baseAddress!))
        }
      }
    }

    func form(_ i: Int) -> [Float] { floats(whole.count) { target in withMaps { $0.write(i, into: target) } } }
  }

  /// Those of `wanted`, pixel by pixel, of what `outputs` has of each form.
  private static func pixels(
    _ wanted: RegionList, width: Int, channels: Int, _ outputs: (_ form: Int) -> [Float]
  ) -> [Float] {
    wanted.regions.enumerated().flatMap { form, region -> [Float] in
      if region.isEmpty { return [] }
      let output = outputs(form)
      return region.rows.flatMap { y in
        let row = y * width
        return output[(row + region.columns.lowerBound) * channels..<(row + region.columns.upperBound) * channels]
      }
    }
  }

  private static func reached(
    _ list: RegionList, _ extent: (Int, Int), _ stride: (Int, Int), _ pad: (Int, Int), _ outputs: (Int, Int)
  ) -> RegionList {
    RegionList(
      list.regions.map { region in
        Region(
          rows: Region.reached(region.rows, extent: extent.0, stride: stride.0, pad: pad.0, outputs: outputs.0),
          columns: Region.reached(region.columns, extent: extent.1, stride: stride.1, pad: pad.1, outputs: outputs.1))
      })
  }

  /// So many of `convolutions`, the first, are not computed by Winograd's algorithm.
  private static let direct = ConvolutionTests.cases.count - ConvolutionTests.patched.count
  static let convolutions = ConvolutionTests.cases + DepthwiseTests.cases.filter { $0.batch == 1 }

  @Test(
    "Regions of a convolution have the bits of whole layers, and all that differs is in them", arguments: variants,
    convolutions.indices)
  func convolution(kernels: Kernels, index: Int) {
    let c = Self.convolutions[index]
    var test = ConvolutionCase(c, seed: index + 300, activation: index % 2 == 0 ? .relu : .silu)
    let forms = Forms(c.inputHeight, c.inputWidth, c.inputChannels, test.input, seed: index + 400)
    let wanted = Self.reached(
      forms.list, ((c.kernelHeight - 1) * c.dilationY + 1, (c.kernelWidth - 1) * c.dilationX + 1),
      (c.strideY, c.strideX), (c.padTop, c.padLeft), (c.outputHeight, c.outputWidth))
    let whole = forms.list.regions.indices.map { form in
      test.input = forms.form(form)
      return test.run(kernels)
    }
    func pixels(_ outputs: (Int) -> [Float]) -> [Float] {
      Self.pixels(wanted, width: c.outputWidth, channels: c.outputChannels, outputs)
    }
    for threads in 1...3 {
      let got = run(test, forms, wanted, pixels { _ in test.residual }, kernels, threads)
      let expected = pixels { whole[$0] }
      // How OpenBLAS adds up depends on the number of rows.
      if kernels.variant == .openblas {
        expect(got, expected.map { Expected(value: Double($0), tolerance: 1e-4) }, "\(c)")
      } else {
        expectSame(got, expected, "\(c)")
      }
    }
    // Patches round anew what does not differ.
    guard kernels.variant != .openblas, index < Self.direct || index >= ConvolutionTests.cases.count else { return }
    for (form, region) in wanted.regions.enumerated() {
      for pixel in 0..<c.outputHeight * c.outputWidth {
        let (y, x) = pixel.quotientAndRemainder(dividingBy: c.outputWidth)
        if region.rows.contains(y) && region.columns.contains(x) { continue }
        let place = pixel * c.outputChannels..<(pixel + 1) * c.outputChannels
        expectSame(Array(whole[form][place]), Array(whole[0][place]), "\(c), outside of the region of form \(form)")
      }
    }
  }

  private func run(
    _ test: ConvolutionCase, _ forms: Forms, _ wanted: RegionList, _ residual: [Float], _ kernels: Kernels,
    _ threads: Int
  ) -> [Float] {
    let packing = kernels.packing(test.c, known: true)
    return withAligned(packing.byteCount) { memory in
      test.weights.withUnsafeBytes { kernels.pack($0.baseAddress!, as: packing, into: memory, .serial) }
      let packed = UnsafePointer(memory.assumingMemoryBound(to: Float.self))
      return withAligned(kernels.regionWorkspace(test.c, packing, wanted, threads: threads)) { workspace in
        floats(residual.count) { output in
          residual.withUnsafeBufferPointer { output.update(from: $0.baseAddress!, count: $0.count) }
          test.bias.withUnsafeBufferPointer { bias in
            forms.withMaps {
              kernels.convolve(
                test.c, regions: wanted, of: $0, packed, as: packing, into: output,
                .init(bias: bias.baseAddress, residual: UnsafePointer(output), activation: test.activation),
                workspace: workspace, Parallel(threads: threads))
            }
          }
        }
      }
    }
  }

  @Test("Regions of a pool have the bits of whole layers", arguments: variants, PoolingTests.cases.indices)
  func pooling(kernels: Kernels, index: Int) {
    var p = PoolingTests.cases[index]
    p.batch = 1
    var g = Generator(index + 500)
    let image = g.floats(p.inputHeight * p.inputWidth * p.channels)
    let forms = Forms(p.inputHeight, p.inputWidth, p.channels, image, seed: index + 600)
    let wanted = Self.reached(
      forms.list, ((p.kernelHeight - 1) * p.dilationY + 1, (p.kernelWidth - 1) * p.dilationX + 1),
      (p.strideY, p.strideX), (p.padTop, p.padLeft), (p.outputHeight, p.outputWidth))
    for isAverage in [false, true] {
      let expected = Self.pixels(wanted, width: p.outputWidth, channels: p.channels) { form in
        floats(p.outputHeight * p.outputWidth * p.channels) {
          let input = forms.form(form)
          if isAverage {
            kernels.poolAverage(p, input, into: $0, .serial)
          } else {
            kernels.poolMaximum(p, input, into: $0, .serial)
          }
        }
      }
      for threads in 1...2 {
        let got = floats(wanted.count * p.channels) { output in
          forms.withMaps {
            kernels.pool(p, average: isAverage, regions: wanted, of: $0, into: output, Parallel(threads: threads))
          }
        }
        expectSame(got, expected, isAverage ? "mean" : "maximum")
      }
    }
  }
}
