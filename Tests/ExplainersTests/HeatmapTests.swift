import Explanations
import Testing

struct HeatmapTests {
  private func map(_ values: [Float]) -> Heatmap { Heatmap(values, width: values.count, height: 1) }

  @Test("A map whose differences are rounding is flat, whatever its size")
  func flat() {
    for scale: Float in [1, -3, 1e-30, 1e30] {
      #expect(map([1, 1, 1].map { $0 * scale }).isFlat)
      #expect(map([1, 1.000_001, 0.999_999].map { $0 * scale }).isFlat)
      #expect(!map([1, 1.000_02, 1].map { $0 * scale }).isFlat)
      #expect(!map([0, 1e-7, 0].map { $0 * scale }).isFlat)
    }
    #expect(map([0, 0]).isFlat && map([]).isFlat && map([.nan, 2]).isFlat)
  }

  @Test("A flat map spreads to zeros, not to its rounding")
  func spread() {
    #expect(map([7, 7.000_007, 7]).spread.values == [0, 0, 0])
    #expect(map([7, 9, 8]).spread.values == [0, 1, 0.5])
    // Another program's divisor is kept to the last bit.
    #expect(map([7, 7.000_007, 7]).spread(adding: 1e-7).values[1] > 0.9)
  }

  @Test("An explanation is degenerate where its grid is flat or not finite")
  func degenerate() {
    func isDegenerate(_ values: [Float]) -> Bool {
      Explanation(image: 0, classIndex: 0, score: 1, grid: map(values), field: Field(width: 1, height: 1)).isDegenerate
    }
    #expect(isDegenerate([2, 2.000_001]) && isDegenerate([1, .infinity]) && !isDegenerate([2, 2.1]))
  }
}
