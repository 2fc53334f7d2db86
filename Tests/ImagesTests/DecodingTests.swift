// SPDX-License-Identifier: Apache-2.0
import Images
import Parallel
import Tensors
import Testing

@Suite struct DecodingTests {
  @Test func everyKindOfFileDecodesToTheBytesOfPillow() throws {
    let lines = try Fixtures.expectations("decode")
    #expect(lines.count >= 20)
    for line in lines {
      let image = try Fixtures.image(line[0])
      #expect([image.width, image.height, image.channels] == [Int(line[1]), Int(line[2]), 3], "\(line[0])")
      #expect(checksum(image.pixels) == line[3], "\(line[0])")
    }
  }

  @Test(arguments: [1, 3, 4]) func encodedPixelsDecodeToThemselves(_ channels: Int) throws {
    let pixels = noise(7, 31 * 17 * channels)
    let image = try Image(width: 31, height: 17, channels: channels, pixels: pixels)
    let encoded = try image.encodePNG(.unwatched)
    #expect(encoded == (try image.encodePNG(.unwatched)))
    let opaque = (0..<31 * 17).flatMap { i in (0..<3).map { pixels[i * channels + (channels == 1 ? 0 : $0)] }
    }
    #expect(try decode(encoded) == Image(width: 31, height: 17, channels: 3, pixels: opaque))
  }

  @Test(arguments: [1, 3, 4]) func aJPEGFileShowsAlmostTheSame(_ channels: Int) throws {
    let pixels = (0..<64 * 48).flatMap { i in (0..<channels).map { UInt8(i % 64 + 40 * $0) } }
    let image = try Image(width: 64, height: 48, channels: channels, pixels: pixels)
    let encoded = try image.encodeJPEG(.unwatched)
    #expect(encoded == (try image.encodeJPEG(.unwatched)))
    #expect(try image.encodeJPEG(quality: 20, .unwatched).count < encoded.count)
    let decoded = try decode(encoded).pixels
    let differences = (0..<3 * 64 * 48).map { i in
      abs(Int(decoded[i]) - Int(pixels[i / 3 * channels + (channels == 1 ? 0 : i % 3)]))
    }
    #expect(decoded.count == differences.count && differences.allSatisfy { $0 < 12 })
  }

  @Test func anImageOfTheWrongNumberOfBytesIsRefused() {
    #expect(
      failure { _ = try Image(width: 2, height: 2, channels: 3, pixels: [0]) }?.kind == .invalidArgument)
    #expect(failure { _ = try Image(width: 0, height: 2, channels: 3, pixels: []) }?.kind == .invalidArgument)
    #expect(
      failure { _ = try Image(width: 1, height: 1, channels: 2, pixels: [0, 0]) }?.kind == .invalidArgument)
  }
}
