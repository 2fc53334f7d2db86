// SPDX-License-Identifier: Apache-2.0
import Images
import Parallel
import Testing

@Suite struct ResizeTests {
  @Test func bytesAreThoseOfPillow() throws {
    for line in try Fixtures.expectations("resize") {
      let n = line.compactMap { Int($0) }
      let filter = try #require(Filter(rawValue: line[5]))
      let image = try Image(
        width: n[0], height: n[1], channels: n[2], pixels: noise(UInt32(n[5]), n[0] * n[1] * n[2]))
      #expect(
        checksum(try image.resized(width: n[3], height: n[4], filter: filter, .unwatched).pixels) == line[7],
        "\(line.joined(separator: " "))")
    }
  }

  @Test func floatsAreThoseOfPillow() throws {
    for line in try Fixtures.expectations("resize-float") {
      let n = line.compactMap { Int($0) }
      let filter = try #require(Filter(rawValue: line[4]))
      let values = noise(UInt32(n[4]), n[0] * n[1]).map { Float($0) / 7 }
      let resized = try values.withUnsafeBufferPointer {
        try resize($0, width: n[0], height: n[1], to: (n[2], n[3]), filter: filter, .unwatched)
      }
      #expect(checksum(resized) == line[6], "\(line.joined(separator: " "))")
    }
  }
}
