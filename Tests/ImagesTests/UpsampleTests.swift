// SPDX-License-Identifier: Apache-2.0
import Images
import Parallel
import Testing

private func enlarge(_ values: [Float], _ width: Int, _ height: Int, _ size: (Int, Int)) throws -> [Float] {
  try values.withUnsafeBufferPointer { Array(try upsample($0, width: width, height: height, to: size, .unwatched)) }
}

@Suite struct UpsampleTests {
  @Test func valuesAreThoseOfTorch() throws {
    let enlarged = try enlarge([0, 1, 4, 9, 16, 25], 3, 2, (4, 5))
    let torch: [Float] = [
      0, 0.625, 2.125, 4, 0.9, 1.9, 3.85, 6.1, 4.5, 7, 10.75, 14.5, 8.1, 12.1, 17.65, 22.9, 9, 13.375, 19.375,
      25,
    ]
    #expect(zip(enlarged, torch).allSatisfy { abs($0 - $1) <= 4e-6 })
    #expect(try enlarge([0, 1, 4, 9, 16, 25], 3, 2, (2, 1)) == [5.5, 13])
  }

  /// Enlarging, Pillow's triangle filter is the same interpolation, computed in double; float coordinates are
  /// off by 1e-6 of a pixel.
  @Test(arguments: [(7, 7, 224, 224), (28, 14, 97, 300), (9, 9, 260, 260), (1, 5, 3, 6)])
  func enlargingAgreesWithPillow(_ width: Int, _ height: Int, _ newWidth: Int, _ newHeight: Int) throws {
    let values = noise(3, width * height).map { Float($0) / 255 }
    let enlarged = try enlarge(values, width, height, (newWidth, newHeight))
    let pillow = try values.withUnsafeBufferPointer {
      try resize($0, width: width, height: height, to: (newWidth, newHeight), filter: .bilinear, .unwatched)
    }
    #expect(enlarged.count == newWidth * newHeight)
    #expect(zip(enlarged, pillow).allSatisfy { abs($0 - $1) <= 4e-6 })
  }
}
