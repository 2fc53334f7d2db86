import Explainers
import Explanations
import Images
import Parallel
import Tensors

/// Area size (Li et al., ICCV 2021, "SCOUTER", section 4.1): the mean of the map, between 0 and 1.
///
/// A map of bytes is divided by 255; draws "range" say what 0 and 1 stand for; else values count as they are. `compat`
/// "scouter": of bytes, ⌊255·(a − low)/(high − low)⌋; "fact-2022": of the values themselves, enlarged to 260×260 as
/// Pillow does.
struct AreaSize: Metric {
  let name = "area-size"
  let better = Direction.neither
  let summary = "The share of the image that the map fills; what is good depends on the size of things."
  let needsModel = false
  let draws = [MeasurementRequest.rangeDraw]
  let parameters = [ByteMaps.compat]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let maps = try ByteMaps(request)
    return Measurement(
      try (0..<request.count).map { index in
        let (values, whole) = try maps.values(index, enlargingBytes: false)
        return values.reduce(0, +) / (Double(values.count) * whole)
      })
  }
}

/// Precision (SCOUTER, section 4.1): the share of the map's sum that lies inside the object's box.
///
/// By default a pixel inside any of the boxes counts once. `compat` "scouter" and "fact-2022" enlarge to 260×260 and
/// read boxes in those pixels: the first, of bytes, takes the best single box; the second, of the values themselves,
/// sums over all boxes, overlaps twice, each less its last row and column. A map without any sum has no precision
/// (NaN).
struct Precision: Metric {
  let name = "precision"
  let better = Direction.more
  let summary = "The share of the map's sum inside the boxes of the object; more is better."
  let needsModel = false
  let reads = MapSource.map
  let draws = [Box.draw, MeasurementRequest.rangeDraw]
  let parameters = [
    Parameter(
      "size", default: 0, in: 0...65_535,
      "Side that maps are enlarged to, whose pixels boxes are in; 0: their own size, with a compat 260."),
    ByteMaps.compat,
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let maps = try ByteMaps(request)
    guard let boxes = try Box.each(request) else {
      throw Failure(.invalidArgument, "the metric \"precision\" needs the draws \"boxes\"")
    }
    let values = try (0..<request.count).map { index in
      let (values, _) = try maps.values(index, enlargingBytes: true)
      let (width, height) = (maps.width, maps.height)
      func sum(_ rows: Range<Int>, _ columns: Range<Int>) -> Double {
        rows.reduce(0) { sum, y in columns.reduce(sum) { $0 + values[y * width + $1] } }
      }
      let total = values.reduce(0, +)
      guard total != 0 else { return Double.nan }
      switch maps.compat {
      case .scouter:
        let sums = boxes[index].map { sum(Box.range($0.y1, $0.y2, height), Box.range($0.x1, $0.x2, width)) }
        return (sums.max() ?? 0) / total
      case .fact2022:
        return boxes[index].reduce(0) { found, box in
          found + sum(Box.range(box.y1, box.y2, height).dropLast(1), Box.range(box.x1, box.x2, width).dropLast(1))
        } / total
      case .none:
        var inside = [Bool](repeating: false, count: values.count)
        for box in boxes[index] {
          for y in Box.range(box.y1, box.y2, height) {
            for x in Box.range(box.x1, box.x2, width) { inside[y * width + x] = true }
          }
        }
        return zip(values, inside).reduce(0) { $1.1 ? $0 + $1.0 : $0 } / total
      }
    }
    return Measurement(values, chosen: maps.size > 0 ? ["size": .number(Double(maps.size))] : [:])
  }
}

/// Maps as SCOUTER's evaluation and its reproductions take them.
private final class ByteMaps {
  enum Compat: String, CaseIterable {
    case none, scouter
    case fact2022 = "fact-2022"
  }

  static let compat = Parameter("compat", default: Compat.none, Score.compatSummary)

  let compat: Compat
  let size: Int
  private let maps: Maps
  private let ranges: [Float]?
  private let request: MeasurementRequest

  init(_ request: MeasurementRequest) throws {
    self.request = request
    compat = try request.settings.choice("compat")
    maps = try request.maps()
    ranges = try request.ranges()
    let asked = request.settings.values.contains { $0.name == "size" } ? try request.settings.integer("size") : 0
    size = asked > 0 ? asked : compat == .none ? 0 : 260
    guard maps.channels == 1 else {
      throw Failure(.invalidArgument, "this reads one map for an image, not \(maps.channels) channels")
    }
  }

  var width: Int { size > 0 ? size : maps.width }
  var height: Int { size > 0 ? size : maps.height }

  /// The values of a map, and what a full one is.
  func values(_ index: Int, enlargingBytes: Bool) throws -> (values: [Double], whole: Double) {
    let map = maps[index]
    let range = request.range(of: index, ranges)
    switch compat {
    case .scouter:
      let bytes = try map.bytes(range: range)
      guard enlargingBytes else { return (bytes.map { Double($0) }, 255) }
      let enlarged = try Map.enlarged(bytes, height: map.height, width: map.width, to: (height, width))
      return (enlarged.map { Double($0) }, 255)
    case .fact2022:
      let enlarged = try map.values.withUnsafeBufferPointer {
        try resize(
          $0, width: map.width, height: map.height, to: (width: width, height: height), filter: .bilinear, .unwatched)
      }
      return (enlarged.map { Double($0) }, 1)
    case .none:
      let own = enlargingBytes ? try map.resized(height: height, width: width) : map
      if map.areBytes { return (own.values.map { Double($0) }, 255) }
      guard let (low, high) = range else { return (own.values.map { Double($0) }, 1) }
      return (own.values.map { Double($0) - Double(low) }, high > low ? Double(high) - Double(low) : 1)
    }
  }
}
