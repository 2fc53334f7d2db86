// SPDX-License-Identifier: Apache-2.0
import Foundation
import Images
import Tensors
import Testing

/// What runtime and converters must agree on, in one table that both are tested by.
private struct Table: Decodable {
  struct Valid: Decodable {
    struct Size: Decodable {
      let of: [Int]
      let makes: [Int]
      let covers: [Double]
    }

    let text: String
    let channels: Int
    let size: [Int]?
    /// What the bytes 0 and 255 become in each channel.
    let bytes: [[Float]]
    let images: [Size]?
    let image: [[[UInt8]]]?
    let tensor: [[[Float]]]?
  }

  struct Invalid: Decodable {
    let text: String
    let says: String
  }

  let valid: [Valid]
  let invalid: [Invalid]

  static func read() throws -> Table {
    let path = String(#filePath.dropLast("ImagesTests/GrammarTests.swift".count)) + "Fixtures/preprocessing/grammar.json"
    let file = try MappedFile(path: path)
    return try JSONDecoder().decode(Table.self, from: Data(file.bytes))
  }
}

@Suite struct GrammarTests {
  @Test func validDescriptionsMeanWhatTheTableSays() throws {
    let cases = try Table.read().valid
    #expect(cases.count == 36)
    for expected in cases {
      let steps = try Preprocessing(parsing: expected.text)
      #expect(steps.channels == expected.channels, "\(expected.text)")
      #expect(steps.fixedOutputSize.map { [$0.width, $0.height] } == expected.size, "\(expected.text)")
      #expect(try Preprocessing(parsing: steps.description) == steps, "\(expected.text)")
      for (channel, bytes) in expected.bytes.enumerated() {
        let levels = steps.levels(of: channel)
        #expect([levels[0], levels[255]] == bytes, "\(expected.text)")
      }
      for image in expected.images ?? [] {
        let size = (width: image.of[0], height: image.of[1])
        let made = try steps.outputSize(for: size)
        #expect([made.width, made.height] == image.makes, "\(expected.text)")
        let seen = try steps.footprint(of: size)
        #expect([seen.x, seen.y, seen.width, seen.height] == image.covers, "\(expected.text)")
      }
      guard let rows = expected.image, let tensor = expected.tensor else { continue }
      let image = try Image(
        width: rows[0].count, height: rows.count, channels: 3, pixels: rows.flatMap { $0.flatMap { $0 } })
      #expect(try steps.run(image).tensor == tensor.flatMap { $0.flatMap { $0 } }, "\(expected.text)")
    }
  }

  @Test func invalidDescriptionsAreRefusedByTheirWords() throws {
    let cases = try Table.read().invalid
    #expect(cases.count == 76)
    for expected in cases {
      let failed = failure { _ = try Preprocessing(parsing: expected.text) }
      #expect(failed?.kind == .invalidModel, "\(expected.text)")
      #expect(failed?.message.contains(expected.says) == true, "\(expected.text)")
    }
  }

  @Test func aWindowIsWhatItIsInTheWholeImage() throws {
    let image = try Image(width: 19, height: 7, channels: 3, pixels: noise(7, 19 * 7 * 3))
    for filter in Filter.allCases {
      let whole = try Preprocessing(parsing: "resize exact 31 5 \(filter)").run(image).shown
      let cut = try Preprocessing(parsing: "resize exact 31 5 \(filter)\ncenter_crop 9 9").run(image).shown
      #expect(try Preprocessing(parsing: "center_crop 9 9").run(whole).shown == cut, "\(filter)")
    }
  }
}
