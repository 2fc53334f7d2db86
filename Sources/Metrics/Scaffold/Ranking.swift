/// In which order pixels go.
enum Ranking: String, CaseIterable {
  /// As the metric, or the program that `compat` names, has it.
  case auto
  /// The largest value first; of equal ones the last pixel: a stable ascending sort, reversed.
  case stableLast = "stable-last"
  /// The largest value first; of equal ones the first pixel.
  case stableFirst = "stable-first"
  /// By bytes that were negated as bytes: 0 first, then 255, 254, …, 1; of equal ones the first pixel.
  case wrapped

  /// The positions of `values` in that order; NaN last.
  func order(of values: [Float]) -> [Int] {
    let keys = values.map { $0.isNaN ? -Float.infinity : $0 }
    if self == .stableFirst {
      return keys.indices.sorted { keys[$0] != keys[$1] ? keys[$0] > keys[$1] : $0 < $1 }
    }
    return keys.indices.sorted { keys[$0] != keys[$1] ? keys[$0] > keys[$1] : $0 > $1 }
  }

  /// The same of bytes, as `wrapped` has it.
  static func wrappedOrder(of bytes: [UInt8]) -> [Int] {
    let keys = bytes.map { 0 &- $0 }
    return keys.indices.sorted { keys[$0] != keys[$1] ? keys[$0] < keys[$1] : $0 < $1 }
  }

  /// For each position its place in `order`.
  static func places(in order: [Int]) -> [Int] {
    var places = [Int](repeating: 0, count: order.count)
    for (place, position) in order.enumerated() { places[position] = place }
    return places
  }
}
