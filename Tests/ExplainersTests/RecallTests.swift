import Explainers
import Images
import Parallel
import Testing

private func enlarged(_ map: [Float], _ side: Int, to size: Int) throws -> [Float] {
  try map.withUnsafeBufferPointer { Array(try upsample($0, width: side, height: side, to: (size, size), .unwatched)) }
}

@Test func recallOfTheSeedReproduction() throws {
  let fixture = try Fixture("recall-seed004")
  var shares: [Double?] = []
  for image in 0..<6 {
    let side = fixture.shape("act\(image)")[0]
    let size = fixture.integers("size\(image)")[0]
    let threshold = fixture.doubles("threshold\(image)")[0]
    let region = try enlarged(fixture.floats("act\(image)"), side, to: size).map { Double($0) > threshold }
    #expect(region.count { $0 } == fixture.integers("area\(image)")[0])
    let annotations = zip(fixture.integers("targets\(image)"), fixture.rows("masks\(image)")).map { word, mask in
      Recall.Annotation(
        word: word, mask: Recall.enlarged(mask.map { $0 > 0 }, width: side, height: side, to: (size, size)))
    }
    for (annotation, expected) in zip(annotations, fixture.doubles("iou\(image)")) {
      #expect(abs((Recall.overlap(region, annotation.mask) ?? 0) - expected) < 1e-12)
    }
    let share = Recall.share(of: Recall.words(in: region, of: annotations), in: fixture.integers("words\(image)"))
    let expected = fixture.doubles("recall\(image)")[0]
    #expect(share ?? -1 == expected)
    shares.append(share)
  }
  #expect(abs(try #require(Recall.mean(shares)) - fixture.doubles("mean")[0]) < 1e-12)
  #expect(Recall.mean([nil, nil] as [Double?]) == nil)
}

/// Two filters of a whole network over eight images.
private struct Case {
  let fixture: Fixture
  let side: Int
  let filters = 2
  let perFilter = 5

  init() throws {
    fixture = try Fixture("recall-resnet18")
    side = fixture.shape("features")[3]
  }

  func map(_ image: Int, _ filter: Int) -> [Float] {
    let all = fixture.floats("features")
    let start = (image * filters + filter) * side * side
    return Array(all[start..<start + side * side])
  }

  func words(_ image: Int, _ filter: Int) -> [Int] {
    let all = fixture.integers("words")
    return Array(all[(image * filters + filter) * 20..<(image * filters + filter + 1) * 20])
  }

  func threshold(_ filter: Int, _ share: Double) -> Double {
    quantile(share, of: (0..<8).flatMap { map($0, filter) }) ?? 0
  }

  /// The images that excite the filter, most first.
  func images(_ filter: Int) -> [Int] {
    let best = (0..<8).map { map($0, filter).max() ?? 0 }
    return Array((0..<8).filter { best[$0] > 0 }.sorted { best[$0] > best[$1] }.prefix(perFilter))
  }

  func annotations(_ image: Int, to size: Int) -> [Recall.Annotation] {
    zip(zip(fixture.integers("inst_image"), fixture.integers("inst_word")), fixture.rows("inst_mask"))
      .filter { $0.0.0 == image }
      .map { about, mask in
        Recall.Annotation(
          word: about.1, mask: Recall.enlarged(mask.map { $0 > 0 }, width: side, height: side, to: (size, size)))
      }
  }
}

@Test(arguments: [(5, "fact_projection_s5_weigh0"), (20, "fact_projection_s20_weigh0")])
func recallOfAWholeNetworkAsTheSeedReproductionGivesIt(words: Int, key: String) throws {
  let found = try Case()
  let shares = try (0..<2).flatMap { filter in
    try found.images(filter).map { image in
      let threshold = found.threshold(filter, 0.005)
      let region = try enlarged(found.map(image, filter), found.side, to: 224).map { Double($0) > threshold }
      let truth = Recall.words(in: region, of: found.annotations(image, to: 224))
      return Recall.share(of: truth, in: found.words(image, filter).prefix(words))
    }
  }
  let expected = found.fixture.doubles(key)
  #expect(abs(try #require(Recall.mean(shares)) - expected[0]) < 1e-12)
  #expect(shares.count { $0 != nil } == Int(expected[1]))
}

@Test(arguments: [5, 10, 20])
func recallOfGrowingNamesAsTheOtherReproductionGivesIt(limit: Int) throws {
  let found = try Case()
  let means = try (0..<2).map { filter in
    let threshold = found.threshold(filter, 0.8)
    let images = try found.images(filter).map { image in
      let map = found.map(image, filter)
      let region = map.map { Double($0) > threshold }
      return Recall.Image(
        truth: Recall.words(in: region, of: found.annotations(image, to: found.side)),
        words: found.words(image, filter),
        weight: Weighting.enlarged.weight(of: try enlarged(map, found.side, to: 224).max() ?? 0))
    }
    return Recall.mean(Recall.cumulative(images, limit: limit))
  }
  #expect(abs(try #require(Recall.mean(means)) - found.fixture.doubles("stable\(limit)")[0]) < 1e-12)
}

@Test func wordsThatTrainingSawCountForTheNameButNotForTheTruth() {
  let images = [Recall.Image(truth: [1, 2], words: [1, 5], weight: 1), .init(truth: [], words: [9], weight: 9)]
  #expect(Recall.cumulative(images, limit: 1, seen: [2]) == [1, nil])
  #expect(Recall.cumulative(images, limit: 1, seen: [1]) == [0, nil])
  #expect(Recall.cumulative(images, limit: 1, seen: [1, 2]) == [nil, nil])
}

@Test func masksOfBoxesAreThoseOfThePrograms() throws {
  let fixture = try Fixture("region-masks")
  var compared = 0
  func boxes(_ image: Int, _ word: String) -> [RegionMask.Box] {
    fixture.rows("boxes_\(image)_\(word)").map { Array($0).map { Int($0) } }
      .map { .init(x: $0[0], y: $0[1], width: $0[2], height: $0[3]) }
  }
  for name in fixture.names where name.contains("vg_mask") {
    let parts = name.split(separator: "_")
    let (image, side) = (Int(parts[parts.count - 2]) ?? 0, Int(parts[parts.count - 1]) ?? 0)
    let size = fixture.rows("sizes")[image].map { Int($0) }
    let all = fixture.doubles(name).map { $0 > 0 }
    // The authors' masks have all words, the reproductions' one box.
    for (i, word) in ["tree", "car", "xyz"].prefix(all.count / (side * side)).enumerated() {
      let found = try RegionMask.cells(
        of: boxes(image, word), width: size[0], height: size[1], to: (side, side), swapped: !name.hasPrefix("fixed"))
      #expect(found == Array(all[i * side * side..<(i + 1) * side * side]), "\(name) \(word)")
      compared += 1
    }
  }
  #expect(compared == 36)
}
