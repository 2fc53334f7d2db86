import Explainers
import Testing

@Test func thresholdsAreThoseOfNumPyAndTorch() throws {
  let fixture = try Fixture("thresholds")
  let shape = fixture.shape("acts")
  let all = fixture.floats("acts")
  let size = shape[2] * shape[3]
  for filter in 0..<shape[1] {
    let values = (0..<shape[0]).flatMap { image -> ArraySlice<Float> in
      let start: Int = (image * shape[1] + filter) * size
      return all[start..<start + size]
    }
    for (share, name) in [(0.995, "q995"), (0.995, "abhinav_p995"), (0.005, "seed004_q005")] {
      let expected = fixture.doubles(name)[filter]
      let found = try #require(quantile(share, of: values))
      #expect(abs(found - expected) <= 1e-6 * abs(expected))
    }
  }
}

/// Against sorting, for every quantile that lies on, and between, the numbers.
@Test func quantilesOfStreamsAreThoseOfSortedNumbers() throws {
  let values: [Float] = (0..<41).map { Float(($0 * 17) % 41) - 5 } + [.nan]
  for step in 0...80 {
    let share = Double(step) / 80
    #expect(abs(try #require(quantile(share, of: values)) - (share * 40 - 5)) < 1e-9)
  }
  #expect(quantile(0.5, of: []) == nil)
}

@Test(arguments: [
  (Weighting.floor, "orig"), (.once, "seed004"), (.ceiling, "seed004_weighted"),
])
func wordsAreCountedAsTheProgramsDo(weighting: Weighting, name: String) throws {
  let fixture = try Fixture("word-aggregation")
  var counts = WordCounts()
  for (words, activation) in zip(fixture.rows("ranks"), fixture.floats("max_act")) where activation > 0 {
    counts.add(words.map { Int($0) }, weight: weighting.weight(of: activation))
  }
  #expect(counts.ranked.map(\.word) == fixture.integers(name + "_words"))
  #expect(counts.ranked.map(\.count) == fixture.doubles(name + "_counts"))
  #expect(!counts.ranked.isEmpty)
}
