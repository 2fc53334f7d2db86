// SPDX-License-Identifier: Apache-2.0
import Images
import Parallel
import Tensors
import Testing

private let imageNet = "mean 0.485 0.456 0.406 std 0.229 0.224 0.225"

@Suite struct PreprocessingTests {
  @Test func croppedTensorsAreThoseOfTorchvisionToTheLastBit() throws {
    let plain = try Preprocessing(parsing: "resize shorter 256 bilinear\ncenter_crop 224 224\nscale 1/255\n")
    let normalized = try Preprocessing(parsing: plain.description + "\nnormalize \(imageNet)")
    for line in try Fixtures.expectations("crop") {
      let image = try Fixtures.image(line[0])
      let (shown, tensor) = try plain.run(image)
      #expect([shown.width, shown.height, shown.channels] == [224, 224, 3])
      #expect(checksum(shown.pixels) == line[1], "\(line[0])")
      #expect(checksum(tensor) == line[2], "\(line[0])")
      #expect(checksum(try normalized.run(image).tensor) == line[3], "\(line[0])")
    }
  }

  @Test func stretchedTensorsAreThoseOfScouterToTheLastBit() throws {
    let steps = try Preprocessing(
      parsing: "resize exact 260 260 bilinear\nscale 1/255\nnormalize \(imageNet) float64")
    for line in try Fixtures.expectations("exact") {
      let (shown, tensor) = try steps.run(Fixtures.image(line[0]))
      #expect(checksum(shown.pixels) == line[1], "\(line[0])")
      #expect(checksum(tensor) == line[2], "\(line[0])")
    }
  }

  @Test func grayTensorsAreThoseOfPillowAndNumPy() throws {
    let steps = try Preprocessing(
      parsing: "gray\nresize exact 260 260 bicubic\nscale 1/255\nnormalize mean 0.1307 std 0.3081 float64")
    for line in try Fixtures.expectations("gray") {
      let (shown, tensor) = try steps.run(Fixtures.image(line[0]))
      #expect(checksum(stride(from: 0, to: shown.pixels.count, by: 3).map { shown.pixels[$0] }) == line[1])
      #expect(checksum(tensor) == line[2], "\(line[0])")
    }
  }
}

@Suite struct PreprocessingTextTests {
  @Test(arguments: [
    "resize shorter 256 bilinear\ncenter_crop 224 224\nscale 1/255\nnormalize \(imageNet)",
    "gray\nresize exact 260 130 lanczos\nscale 1/127.5\nnormalize mean -0.5 std 1 float64",
    "scale 1/255", "resize shorter 1 box\ngray", "resize longer 8 box\npad 9 8 255\nbgr\nnormalize mean 0.5 std 2",
    "resize exact 3 4 nearest", "resize exact 3 4 bicubic",
  ]) func descriptionsAreParsedAndWrittenAlike(_ text: String) throws {
    let parsed = try Preprocessing(parsing: text)
    #expect(parsed.description == text)
    #expect(
      try Preprocessing(parsing: "\n \(text.split(separator: "\n").joined(separator: " \r\n\n\t"))\n")
        == parsed)
  }

  @Test(arguments: [
    "resize 256", "resize shorter 0 bilinear", "resize shorter 256 cubic", "resize exact 5 bilinear",
    "resize exact 99999999999999999999 1 box", "center_crop 224", "center_crop -1 2", "gray 1", "scale 255",
    "scale 1/0", "scale 1/nan", "scale 1/", "scale 1/1e99", "normalize", "normalize mean std",
    "normalize mean 1 2 std 1",
    "normalize mean 1 1 1 std 1 0 1", "normalize mean 1 1 1 std 1 1e-60 1", "normalize mean a b c std 1 1 1",
    "crop 3",
    "normalize std 1 1 1 mean 1 1 1", "normalize mean 1 1 1 std 1 1 1 float32", "normalize float64", "\u{0}",
    "🙂",
  ]) func badLinesAreNamedAndTheFormsListed(_ line: String) throws {
    let failed = try #require(failure { _ = try Preprocessing(parsing: "\n\(line)\nscale 1/255") })
    #expect(failed.kind == .invalidModel)
    #expect(failed.message.contains("step 1") && failed.message.contains("center_crop W H"))
    #expect(failed.message.contains(quoted(line)))
  }

  @Test(arguments: [
    "scale 1/255\nscale 1/255", "scale 1/255\ngray", "normalize \(imageNet)\nscale 1/255",
    "gray\nnormalize \(imageNet)",
    "normalize mean 0.5 0.5 std 0.5 0.5", "normalize \(imageNet)\nnormalize \(imageNet)", "", "\n \n",
  ]) func linesInAWrongPlaceAreRefused(_ text: String) {
    #expect(failure { _ = try Preprocessing(parsing: text) }?.kind == .invalidModel)
  }

  @Test func theShorterSideDecidesTheSize() throws {
    let steps = try Preprocessing(parsing: "resize shorter 256 bilinear")
    #expect(try steps.outputSize(for: (500, 375)) == (3, 256, 341))
    #expect(try steps.outputSize(for: (5, 7)) == (3, 358, 256))
    #expect(try steps.outputSize(for: (256, 385)) == (3, 385, 256))
    #expect(failure { _ = try steps.outputSize(for: (1, 60_000)) }?.kind == .unsupported)
    #expect(failure { _ = try steps.outputSize(for: (0, 5)) }?.kind == .invalidArgument)
    #expect(failure { _ = try steps.outputSize(for: (.max, .max)) }?.kind == .unsupported)
  }

  @Test func aCropLargerThanTheImageAddsBlackAsTorchvisionDoes() throws {
    let image = try Image(width: 2, height: 1, channels: 1, pixels: [7, 8])
    let steps = try Preprocessing(parsing: "gray\ncenter_crop 5 2")
    #expect(try steps.run(image).tensor == [0, 7, 8, 0, 0, 0, 0, 0, 0, 0])
    #expect(try steps.footprint(of: (2, 1)) == Region(x: -1, y: 0, width: 5, height: 2))
  }

  @Test func theFootprintIsWhatTheNetworkSees() throws {
    let steps = try Preprocessing(parsing: "resize shorter 256 bilinear\ncenter_crop 224 224")
    #expect(try steps.footprint(of: (512, 1024)) == Region(x: 32, y: 288, width: 448, height: 448))
    #expect(try Preprocessing(parsing: "resize exact 9 9 box").footprint(of: (30, 40)).height == 40)
  }

  @Test func formatsAndStridesOfViewsDoNotMatter() throws {
    let steps = try Preprocessing(parsing: "resize exact 5 4 bilinear\nscale 1/255")
    let rgb = try Image(width: 7, height: 6, channels: 3, pixels: noise(1, 7 * 6 * 3))
    let expected = try steps.run(rgb).tensor
    // Rows of RGBA with a gap after each.
    var padded = [UInt8](repeating: 99, count: 6 * 40)
    for y in 0..<6 {
      for x in 0..<7 { for c in 0..<3 { padded[y * 40 + x * 4 + c] = rgb.pixels[(y * 7 + x) * 3 + c] } }
    }
    var tensor = [Float](repeating: -1, count: 60)
    try padded.withUnsafeBytes { bytes in
      let view = try PixelView(base: bytes.baseAddress, width: 7, height: 6, rowStride: 40, format: .rgba8)
      try steps.tensor(from: view, into: &tensor, .unwatched)
    }
    #expect(tensor == expected)
  }

  @Test func impossibleViewsAreRefused() {
    let byte: [UInt8] = [0]
    byte.withUnsafeBytes { bytes in
      for (base, width, height, stride) in [
        (nil, 1, 1, 0), (bytes.baseAddress, 0, 1, 0), (bytes.baseAddress, 1, -1, 0),
        (bytes.baseAddress, 4, 1, 3),
        (bytes.baseAddress, 1, 1, -8), (bytes.baseAddress, 1, 9, .max),
      ] as [(UnsafeRawPointer?, Int, Int, Int)] {
        let failed = failure {
          _ = try PixelView(base: base, width: width, height: height, rowStride: stride, format: .gray8)
        }
        #expect(failed?.kind == .invalidArgument)
      }
    }
  }
}
