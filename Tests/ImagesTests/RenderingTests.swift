// SPDX-License-Identifier: Apache-2.0
import Images
import Parallel
import Tensors
import Testing

private func draw(
  _ values: [Float], _ width: Int, _ height: Int, _ range: (Float, Float), over picture: Image? = nil,
  _ rendering: Rendering = Rendering()
) throws -> Image {
  try values.withUnsafeBufferPointer { values in
    let map = try MapView(values: values, width: width, height: height, minimum: range.0, maximum: range.1)
    guard let picture else { return try render(map, rendering, .unwatched) }
    return try picture.withView { try render(map, over: $0, rendering, .unwatched) }
  }
}

@Suite struct RenderingTests {
  @Test func scouterOverlayIsTheOriginalsByteForByte() throws {
    let words = try #require(try Fixtures.expectations("scouter", in: "rendering.txt").first)
    let floats = words.dropFirst().compactMap { UInt32($0, radix: 16) }.map(Float.init(bitPattern:))
    let overlay = try draw(
      Array(floats.dropFirst(2)), 9, 9, (floats[0], floats[1]), over: Fixtures.image("scouter_digit.png"),
      Rendering(.scouter))
    #expect(checksum(overlay.pixels) == words[0])
  }

  /// A picture of the model's size, a larger one, one with transparency: over what the original cut out of each.
  @Test func tameOverlaysAreTheOriginalsByteForByte() throws {
    let runs = try Fixtures.expectations("tame", in: "rendering.txt")
    #expect(runs.count == 3)
    for words in runs {
      let mask = try Fixtures.image(words[1]).pixels
      let values = stride(from: 0, to: mask.count, by: 3).map { Float(mask[$0]) }
      let overlay = try draw(values, 224, 224, (0, 255), over: Fixtures.image(words[2]), Rendering(.tame))
      #expect(checksum(overlay.pixels) == words[0], "\(words[1])")
    }
  }

  @Test func jetIsThatOfOpenCVOrOfMatplotlib() throws {
    for words in try Fixtures.expectations("colormap", in: "rendering.txt") {
      #expect(checksum(try Colormap.named(words[0]).entries) == words[1], "\(words[0])")
    }
  }

  @Test(
    arguments: [
      ("viridis", [68, 1, 84], [33, 145, 140], [253, 231, 37]),
      ("magma", [0, 0, 4], [183, 55, 121], [252, 253, 191]),
      ("turbo", [48, 18, 59], [164, 252, 60], [122, 4, 3]),
      ("bwr", [0, 0, 255], [255, 254, 254], [255, 0, 0]),
      ("gray", [0, 0, 0], [128, 128, 128], [255, 255, 255]),
    ] as [(String, [UInt8], [UInt8], [UInt8])])
  func colormapsBeginPassAndEndAsPublished(
    _ name: String, _ first: [UInt8], _ middle: [UInt8], _ last: [UInt8]
  ) throws {
    let entries = try Colormap.named(name).entries
    #expect(entries.count == 768)
    #expect(Array(entries.prefix(3)) == first)
    #expect(Array(entries[128 * 3..<129 * 3]) == middle)
    #expect(Array(entries.suffix(3)) == last)
  }

  @Test func unknownNamesAreAnsweredWithTheKnownOnes() {
    let colormap = failure { _ = try Colormap.named("rainbow") }
    #expect(colormap?.kind == .notFound)
    #expect(Colormap.names.allSatisfy { colormap?.message.contains($0) == true })
    #expect(failure { _ = try Rendering.Style.named("paper") }?.message.contains("scouter") == true)
  }

  @Test(arguments: Rendering.Style.allCases) func mapsWithoutRangeAreDrawnAsTheirMinimum(
    _ style: Rendering.Style
  ) throws {
    let lowest = Array(style == .standard ? [68, 1, 84] : [0, 0, style == .tame ? 128 : 127] as [UInt8])
    let nan = Float.nan
    for (values, range) in [
      ([3, 3], (3, 3)), ([nan, nan], (0, 1)), ([1, 2], (nan, nan)), ([0, 1], (1, 0)),
      ([0, 0], (-.infinity, .infinity)),
      ([-.greatestFiniteMagnitude, 0], (-.greatestFiniteMagnitude, .greatestFiniteMagnitude)),
    ] as [([Float], (Float, Float))] {
      #expect(Array(try draw(values, 2, 1, range, Rendering(style)).pixels) == lowest + lowest, "\(values) \(range)")
    }
  }

  @Test func valuesBeyondTheRangeAreDrawnAsItsEnds() throws {
    var gray = Rendering()
    gray.colormap = .gray
    let pixels = try draw([-5, 0.5, 7, -.infinity, .infinity, .nan], 6, 1, (0, 1), gray).pixels
    #expect(stride(from: 0, to: 18, by: 3).map { pixels[$0] } == [0, 128, 255, 0, 255, 0])
  }

  @Test func opacityMixesRoundingHalvesToEven() throws {
    let picture = try Image(width: 2, height: 1, channels: 1, pixels: [10, 11])
    var rendering = Rendering()
    rendering.colormap = .gray
    #expect(
      Array(try draw([1, 1], 2, 1, (0, 1), over: picture, rendering).pixels) == [132, 132, 132, 133, 133, 133])
    rendering.opacity = 0
    #expect(Array(try draw([1, 1], 2, 1, (0, 1), over: picture, rendering).pixels) == [10, 10, 10, 11, 11, 11])
    rendering.opacity = 1
    #expect(
      Array(try draw([1, 1], 2, 1, (0, 1), over: picture, rendering).pixels) == [UInt8](repeating: 255, count: 6))
    rendering.opacity = .nan
    #expect(failure { _ = try draw([1], 1, 1, (0, 1), over: picture, rendering) }?.kind == .invalidArgument)
  }

  @Test func aMapCoversItsRegionOnly() throws {
    let picture = try Image(width: 4, height: 2, channels: 1, pixels: [UInt8](repeating: 100, count: 8))
    var rendering = Rendering()
    rendering.colormap = .gray
    rendering.opacity = 1
    rendering.region = Region(x: 1, y: -1, width: 2, height: 4)
    let pixels = Array(try draw([0, 1], 1, 2, (0, 1), over: picture, rendering).pixels)
    // Rows 1 and 2 of the four that the map is enlarged to.
    let row = { (v: UInt8) -> [UInt8] in [100, v, v, 100].flatMap { [$0, $0, $0] } }
    #expect(pixels == row(64) + row(191))
    rendering.region = Region(x: 0, y: 0, width: .nan, height: 1)
    #expect(
      failure { _ = try draw([0, 1], 1, 2, (0, 1), over: picture, rendering) }?.kind == .invalidArgument)
  }

  @Test func oneGivenSideKeepsTheAspectRatio() throws {
    var rendering = Rendering()
    rendering.width = 40
    let image = try draw([0, 1, 2, 3, 4, 5, 6, 7], 4, 2, (0, 7), rendering)
    #expect([image.width, image.height] == [40, 20])
    rendering.height = 70_000
    #expect(failure { _ = try draw([0], 1, 1, (0, 1), rendering) }?.kind == .invalidArgument)
  }
}
