import Glibc

/// The documented generator of all draws (docs/random.md): Philox4x32-10 (Salmon et al., SC 2011, "Parallel random
/// numbers: as easy as 1, 2, 3"). A number depends on seed, stream and index alone, so draws are the same in whatever
/// order, batch or thread they are made.
package struct RandomNumbers {
  private let key: (UInt32, UInt32)
  private let stream: UInt64

  /// `stream` tells apart what one call draws for different things: images, samples.
  package init(seed: UInt64, stream: UInt64 = 0) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.stream = stream
  }

  /// The four 32-bit words of block `index`.
  func block(_ index: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    var x = (
      UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
      UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
    )
    var key = key
    for _ in 0..<10 {
      let (a, b) = (UInt64(x.0) * 0xD251_1F53, UInt64(x.2) * 0xCD9E_8D57)
      x = (
        UInt32(b >> 32) ^ x.1 ^ key.0, UInt32(truncatingIfNeeded: b),
        UInt32(a >> 32) ^ x.3 ^ key.1, UInt32(truncatingIfNeeded: a)
      )
      key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
    }
    return x
  }

  /// Uniform in [0, 1): the upper 24 bits of word `index` times 2⁻²⁴.
  package func uniform(_ index: Int) -> Float { Float(word(index) >> 8) * 0x1p-24 }

  /// Uniform in 0..<`bound`, which is at least 1: the upper half of word `index` times `bound`.
  package func integer(_ index: Int, below bound: Int) -> Int { Int((UInt64(word(index)) * UInt64(bound)) >> 32) }

  /// Standard normal numbers `range` of the stream: words in pairs (u, v) give √(−2 ln u)·cos 2πv and ·sin 2πv, u in
  /// (0, 1].
  package func normal(_ range: Range<Int>, _ body: (_ index: Int, _ value: Float) -> Void) {
    for pair in range.lowerBound / 2..<(range.upperBound + 1) / 2 {
      let u = (Double(word(2 * pair)) + 1) * 0x1p-32
      let angle = 2 * Double.pi * Double(word(2 * pair + 1)) * 0x1p-32
      let radius = (-2 * log(u)).squareRoot()
      if range.contains(2 * pair) { body(2 * pair, Float(radius * cos(angle))) }
      if range.contains(2 * pair + 1) { body(2 * pair + 1, Float(radius * sin(angle))) }
    }
  }

  /// Standard normal number `index`.
  package func normal(_ index: Int) -> Float {
    var result: Float = 0
    normal(index..<index + 1) { result = $1 }
    return result
  }

  /// What is drawn alike for every image of a call.
  enum Shared: UInt64 {
    case grid, shift, baseline, masks, bottleneck, path, coalitions
  }

  /// Streams from 2³² on, where images have none.
  init(seed: UInt64, _ shared: Shared) { self.init(seed: seed, stream: 1 << 32 + shared.rawValue) }

  private func word(_ index: Int) -> UInt32 {
    let block = block(UInt64(index / 4))
    switch index % 4 {
    case 0: return block.0
    case 1: return block.1
    case 2: return block.2
    default: return block.3
    }
  }
}
