/// How what a filter looks at is taken from an image's feature maps (LaViSE, table 2).
public enum FilterAttention: String, Sendable, CaseIterable {
  /// Filter attention, the paper's method: each map weighted with the filter's own, g = mean F_k·A / |A|.
  case projection
  /// The positions where the filter is above its threshold, the others counting as zero.
  case activation
  /// The image with all but the filter's region at the mean colour, seen by the whole network.
  case image
  /// All positions alike: no filter is involved.
  case original

  /// Whether a threshold decides what belongs to the filter's region.
  var needsThreshold: Bool { self == .activation || self == .image }

  /// A weight for each position of the filter's map `map`, which has a positive value.
  func weights(of map: UnsafeBufferPointer<Float>, threshold: Double) -> [Float] {
    switch self {
    case .projection:
      let length = Float(norm(map))
      return map.map { $0 / length }
    case .activation: return map.map { Double($0) > threshold ? 1 : 0 }
    case .image, .original: return Array(repeating: 1, count: map.count)
    }
  }
}
