import Glibc
import Parallel
import Tensors

/// How Resize interpolates, whatever the axis.
struct ResizeRule: Sendable {
  var mode: String
  /// "coordinate_transformation_mode" and "nearest_mode".
  var coordinates = "half_pixel"
  var rounding = "round_prefer_floor"
  var cubicCoefficient: Float = -0.75
  var excludesOutside = false
  var isAntialiased = false
  /// Stands outside of the input, for tf_crop_and_resize.
  var extrapolation: Float = 0
  /// The starts, then the ends of the part to be resized, from 0 to 1, for tf_crop_and_resize.
  var regions: [Float]?

  func region(_ i: Int) -> (start: Float, end: Float)? { regions.map { ($0[i], $0[$0.count / 2 + i]) } }
}

/// One axis that changes its extent.
struct ResizeAxis: Sendable {
  let extent: Int
  let count: Int
  let scale: Double
  let region: (start: Float, end: Float)?

  /// A computed extent as a number that later arithmetic can bear.
  static func count(_ length: Double) throws -> Int {
    guard length <= Double(Extent.limit) else {
      throw Failure(.unsupported, "an axis of \(length) elements is too long")
    }
    return Int(length)
  }

  /// Where output index `i` lies on the input's axis.
  private func coordinate(_ i: Int, _ rule: ResizeRule) throws -> Double {
    let (x, extent, count) = (Double(i), Double(extent), Double(count))
    switch rule.coordinates {
    case "half_pixel": return (x + 0.5) / scale - 0.5
    case "half_pixel_symmetric":
      let adjustment = count / (scale * extent)
      return extent / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
    case "pytorch_half_pixel": return count > 1 ? (x + 0.5) / scale - 0.5 : 0
    case "align_corners": return count > 1 ? x * (extent - 1) / (count - 1) : 0
    case "asymmetric": return x / scale
    case "tf_half_pixel_for_nn": return (x + 0.5) / scale
    case "tf_crop_and_resize":
      let (start, end) = (Double(region?.start ?? 0), Double(region?.end ?? 1))
      return count > 1
        ? start * (extent - 1) + x * (end - start) * (extent - 1) / (count - 1) : 0.5 * (start + end) * (extent - 1)
    case let other:
      throw Failure(.unsupported, "coordinate_transformation_mode \(quoted(other)) is not supported")
    }
  }

  /// The input index that each output index takes.
  func nearest(_ rule: ResizeRule) throws -> [Int] {
    try (0..<count).map { i in
      let x = try coordinate(i, rule)
      let index: Double
      switch rule.rounding {
      case "round_prefer_floor": index = (x - 0.5).rounded(.up)
      case "round_prefer_ceil": index = (x + 0.5).rounded(.down)
      case "floor": index = x.rounded(.down)
      case "ceil": index = x.rounded(.up)
      case let other: throw Failure(.invalidModel, "nearest_mode is \(quoted(other))")
      }
      return Int(min(max(index, 0), Double(extent - 1)))
    }
  }

  /// Bounds the memory of the filters, some hundred bytes each.
  private static let filterLimit = 1 << 20

  /// The weighted input indices that make up each output index; an empty filter stands for the extrapolation value.
  func filters(_ rule: ResizeRule) throws -> [ResizeFilter] {
    if rule.mode == "nearest" {
      let indices = try nearest(rule)
      return try indices.indices.map { i in
        isOutside(try coordinate(i, rule)) ? ResizeFilter() : ResizeFilter([(indices[i], 1)])
      }
    }
    // Reducing with antialiasing widens the filter to cover all of the input.
    let stretch = rule.isAntialiased ? max(1.0, 1 / scale) : 1.0
    let radius = (rule.mode == "linear" ? 1.0 : 2.0) * stretch
    guard radius < 1_000_000 else { throw Failure(.unsupported, "a scale of \(scale) is too small") }
    guard max(extent, count) <= Self.filterLimit else {
      throw Failure(.unsupported, "an axis of \(max(extent, count)) elements is too long to be interpolated")
    }
    return try (0..<count).map { i in
      let x = try coordinate(i, rule)
      if region != nil, isOutside(x) { return ResizeFilter() }
      let first = Int((x - radius).rounded(.down)) + 1
      var taps: [(Int, Double)] = []
      for k in first..<first + Int((2 * radius).rounded(.up)) {
        let weight = rule.weight((Double(k) - x) / stretch)
        let isInside = k >= 0 && k < extent
        if weight == 0 || !isInside && rule.excludesOutside { continue }
        taps.append((min(max(k, 0), extent - 1), weight))
      }
      return ResizeFilter(normalizing: taps)
    }
  }

  private func isOutside(_ x: Double) -> Bool { region != nil && (x < 0 || x > Double(extent - 1)) }
}

extension ResizeRule {
  /// The weight of an input element at distance `x`: a triangle, or Keys' cubic (1981), eq. 15.
  fileprivate func weight(_ distance: Double) -> Double {
    let x = abs(distance)
    if mode == "linear" { return max(0, 1 - x) }
    let a = Double(cubicCoefficient)
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a }
    return 0
  }
}

/// What one output index of an axis is made of.
struct ResizeFilter: Sendable {
  private(set) var indices: [Int] = []
  private(set) var weights: [Float] = []

  init() {}

  init(_ taps: [(Int, Double)]) {
    indices = taps.map(\.0)
    weights = taps.map { Float($0.1) }
  }

  /// Brings the weights' sum to 1.
  init(normalizing taps: [(Int, Double)]) {
    let sum = taps.reduce(0) { $0 + $1.1 }
    self.init(sum == 0 ? taps : taps.map { ($0.0, $0.1 / sum) })
  }
}

/// The resizing of one axis, the others left as they are.
struct ResizePass: Sendable {
  private let split: AxisSplit
  private let filters: [ResizeFilter]
  private let extrapolation: Float

  init(_ split: AxisSplit, _ filters: [ResizeFilter], extrapolation: Float) {
    self.split = split
    self.filters = filters
    self.extrapolation = extrapolation
  }

  var outputCount: Int { rows * rowCount }
  /// Parts of the result that have one filter, and elements of one.
  var rows: Int { split.outer * filters.count }
  var rowCount: Int { split.inner }

  func run(_ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel) {
    parallel.forEach(rows, grain: max(1, 4096 / max(1, rowCount))) { range in
      for row in range { make(row, x, into: output + row * rowCount) }
    }
  }

  /// Row `row` of the result, of the whole input.
  func make(_ row: Int, _ x: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    let inner = split.inner
    let filter = filters[row % filters.count]
    let source = x + row / filters.count * split.axis * inner
    guard let first = filter.indices.first else { return target.update(repeating: extrapolation, count: inner) }
    let weight = filter.weights[0]
    if filter.indices.count == 2 {
      let (one, other) = (source + first * inner, source + filter.indices[1] * inner)
      let otherWeight = filter.weights[1]
      for i in 0..<inner { target[i] = weight * one[i] + otherWeight * other[i] }
      return
    }
    for i in 0..<inner { target[i] = weight * source[first * inner + i] }
    for (index, weight) in zip(filter.indices.dropFirst(), filter.weights.dropFirst()) {
      let row = source + index * inner
      for i in 0..<inner { target[i] += weight * row[i] }
    }
  }

  /// This pass and then `next`, of an axis further in, row by row of this one: what lies between is `rowCount` floats
  /// for each thread, in `scratch`.
  func run(
    _ x: UnsafePointer<Float>, then next: ResizePass, into output: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    guard rows > 0 else { return }
    let (slots, nextRows) = (min(rows, max(1, parallel.threads)), next.rows / rows)
    parallel.forEach(slots) { range in
      for slot in range {
        let between = scratch + slot * rowCount
        for row in rows * slot / slots..<rows * (slot + 1) / slots {
          make(row, x, into: between)
          let target = output + row * nextRows * next.rowCount
          for i in 0..<nextRows { next.make(i, between, into: target + i * next.rowCount) }
        }
      }
    }
  }
}
