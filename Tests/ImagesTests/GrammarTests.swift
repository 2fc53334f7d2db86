// SPDX-License-Identifier: Apache-2.0
import Images
import Tensors
import Testing

/// What runtime and converters must agree on, in one table that both are tested by.
private func table(_ part: String) throws -> [JSON] {
  let file = try MappedFile(path: Fixtures.folder + "../../Fixtures/preprocessing/grammar.json")
  return try JSON(parsing: String(decoding: file.bytes, as: UTF8.self))[part].list
}

@Suite struct GrammarTests {
  @Test func validDescriptionsMeanWhatTheTableSays() throws {
    let cases = try table("valid")
    #expect(cases.count == 42)
    for expected in cases {
      let text = try #require(expected["text"].string)
      let steps = try Preprocessing(parsing: text)
      #expect(Double(steps.channels) == expected["channels"].number, "\(text)")
      let size = steps.fixedOutputSize.map { [Double($0.width), Double($0.height)] }
      #expect(size == (expected["size"].isNull ? nil : expected["size"].numbers), "\(text)")
      #expect(try Preprocessing(parsing: steps.description) == steps, "\(text)")
      for (channel, bytes) in expected["bytes"].list.enumerated() {
        let levels = steps.levels(of: channel)
        #expect([levels[0], levels[255]] == bytes.numbers.map(Float.init), "\(text)")
      }
      for image in expected["images"].list {
        let of = image["of"].numbers.map(Int.init)
        let made = try steps.outputSize(for: (of[0], of[1]))
        #expect([Double(made.width), Double(made.height)] == image["makes"].numbers, "\(text)")
        let seen = try steps.footprint(of: (of[0], of[1]))
        #expect([seen.x, seen.y, seen.width, seen.height] == image["covers"].numbers, "\(text)")
      }
      guard !expected["image"].isNull else { continue }
      let rows = expected["image"].list
      let image = try Image(
        width: rows[0].list.count, height: rows.count, channels: 3, pixels: expected["image"].numbers.map { UInt8($0) })
      #expect(try steps.run(image).tensor == expected["tensor"].numbers.map(Float.init), "\(text)")
    }
  }

  @Test func invalidDescriptionsAreRefusedByTheirWords() throws {
    let cases = try table("invalid")
    #expect(cases.count == 86)
    for expected in cases {
      let text = try #require(expected["text"].string)
      let failed = failure { _ = try Preprocessing(parsing: text) }
      #expect(failed?.kind == .invalidModel, "\(text)")
      #expect(failed?.message.contains(expected["says"].string ?? "") == true, "\(text)")
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
