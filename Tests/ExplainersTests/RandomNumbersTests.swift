import Testing

@testable import Explainers

/// The generator's published test vectors (Random123, kat_vectors), and the moments of what is drawn from it.
struct RandomNumbersTests {
  @Test("Philox4x32-10 gives its known answers")
  func knownAnswers() {
    #expect(RandomNumbers(seed: 0).block(0) == (0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
    #expect(
      RandomNumbers(seed: .max, stream: .max).block(.max) == (0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
    #expect(
      RandomNumbers(seed: 0x299F_31D0_A409_3822, stream: 0x0370_7344_1319_8A2E).block(0x85A3_08D3_243F_6A88)
        == (0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
  }

  @Test("Normal numbers have mean 0 and variance 1, whatever range they are drawn in")
  func normal() {
    var values = [Float](repeating: 0, count: 20001)
    RandomNumbers(seed: 7).normal(0..<values.count) { values[$0] = $1 }
    let mean = values.reduce(0, +) / Float(values.count)
    let variance = values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
    #expect(abs(mean) < 0.02 && abs(variance - 1) < 0.03)
    RandomNumbers(seed: 7).normal(501..<900) { #expect(values[$0] == $1) }
  }
}
