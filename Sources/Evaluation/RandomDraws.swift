import Explainers

/// What an evaluation draws (docs/random.md): streams from 2³³ on, where no image and no method draws.
enum RandomDraws {
  private static let first: UInt64 = 1 << 33

  /// A key for each sample; the smallest are drawn.
  static func keys(count: Int, seed: UInt64) -> [Float] {
    let numbers = RandomNumbers(seed: seed, stream: first)
    return (0..<count).map { numbers.uniform($0) }
  }

  /// The key of one sample, by its place alone, without a seed of the caller's.
  static func key(_ index: Int) -> Float { RandomNumbers(seed: 0, stream: first).uniform(index) }

  /// Resample `index` of a bootstrap: `count` positions below `count`, drawn with replacement.
  static func resample(_ index: Int, count: Int, seed: UInt64) -> [Int32] {
    let numbers = RandomNumbers(seed: seed, stream: first + 1 + UInt64(index))
    return (0..<count).map { Int32(truncatingIfNeeded: numbers.integer($0, below: count)) }
  }
}
