// SPDX-License-Identifier: Apache-2.0
import Images
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
