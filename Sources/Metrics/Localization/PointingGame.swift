import Explainers
import Explanations
import Models
import Tensors

/// The pointing game (Zhang et al., ECCV 2016, "Excitation Backprop", section 4.1): whether the map is largest on, or
/// near, an object of its class.
///
/// The point is the first of the largest values; the object is a mask, or boxes. By default a hit is 1, a miss 0, and a
/// pixel exactly `tolerance` away counts. `compat` "torchray": 1 and −1; only what is strictly nearer counts, so that
/// tolerance 0 never hits; the mean is that of the classes' accuracies, a class without images counting as 0.
struct PointingGame: Metric {
  let name = "pointing-game"
  let better = Direction.more
  let summary = "Whether the largest value of the map lies on an object of its class, or near it; more is better."
  let needsModel = false
  let reads = MapSource.map
  let draws = [
    Draw("mask", "[maps, height, width]: not 0 where an object of the class is; else `boxes`."), Box.draw,
  ]
  let parameters = [
    Parameter("tolerance", default: 15.0, in: 0...1e6, "How many pixels off, by Euclid, still hits."),
    Parameter(
      "class_count", default: 0, in: 0...10_000_000,
      "With compat torchray: of how many classes the mean is; 0: those up to the largest that is given."
    ).read(with: "compat", ["torchray"]),
    Parameter("compat", choices: ["none", "torchray"], default: "none", Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let isTorchRay = try request.settings.word("compat") == "torchray"
    let tolerance = try request.settings.number("tolerance")
    let maps = try request.maps()
    let masks = try Masks(request, maps)
    let hits = try (0..<request.count).map { index in
      let map = try maps[index].resized(height: masks.height, width: masks.width).flat
      var point = 0
      for i in map.indices where map[i] > map[point] || (map[point].isNaN && !map[i].isNaN) { point = i }
      return masks.isHit(index, x: point % masks.width, y: point / masks.width, tolerance, isStrict: isTorchRay)
    }
    guard isTorchRay else { return Measurement(hits.map { $0 ? 1 : 0 }) }
    let left = hits.indices.filter { !request.isLeftOut[$0] }
    guard !left.isEmpty else { return Measurement(hits.map { _ in .nan }) }
    let (accuracies, mean) = try Self.accuracies(
      left.map { hits[$0] }, left.map { request.classes[$0] }, request.settings)
    let details = try accuracies.map { [("class_accuracy", try Tensor($0, Shape(checking: [$0.count])))] } ?? []
    return Measurement(hits.map { $0 ? 1 : -1 }, mean: mean, details: details)
  }

  func mean(of values: [Double], classes: [Int?], _ settings: Settings, batchSize: Int) throws -> Double {
    guard try settings.word("compat") == "torchray" else { return Measurement.mean(of: values) }
    let known = zip(values, classes).filter { !$0.0.isNaN }
    guard !known.isEmpty else { return .nan }
    return try Self.accuracies(known.map { $0.0 > 0 }, known.map(\.1), settings).mean
  }

  /// nil where no classes are given: then the mean is the share of hits.
  private static func accuracies(
    _ hits: [Bool], _ classes: [Int?], _ settings: Settings
  ) throws -> (classes: [Double]?, mean: Double) {
    let classes = classes.compactMap(\.self)
    guard classes.count == hits.count else { return (nil, Double(hits.count { $0 }) / Double(hits.count)) }
    let asked = try settings.integer("class_count")
    let count = max(asked, (classes.max() ?? 0) + 1)
    guard asked == 0 || count == asked else {
      throw Failure(.invalidArgument, "class_count is \(asked), but class \(count - 1) is given")
    }
    guard count <= 10_000_000 else { throw Failure(.invalidArgument, "class \(count - 1) is out of range") }
    var found = [(hits: Int, all: Int)](repeating: (0, 0), count: count)
    for (index, hit) in zip(classes, hits) {
      found[index].all += 1
      if hit { found[index].hits += 1 }
    }
    let accuracies = found.map { $0.all > 0 ? Double($0.hits) / Double($0.all) : 0 }
    return (accuracies, accuracies.reduce(0, +) / Double(count))
  }
}

/// Where the objects are.
private struct Masks {
  let height: Int
  let width: Int
  private let mask: [Bool]?
  private let boxes: [[Box]]?

  init(_ request: MeasurementRequest, _ maps: Maps) throws {
    if let tensor = request.call.draws["mask"] {
      guard request.call.draws["boxes"] == nil else {
        throw Failure(
          .invalidArgument, "the draws \"mask\" and \"boxes\" both say where the object is; give one of them")
      }
      let extents = tensor.shape.dimensions
      let isOne = extents.count == 2 && request.count == 1
      guard isOne || extents.count == 3 && extents[0] == request.count, tensor.count > 0 else {
        throw Failure(
          .invalidArgument, "the draws \"mask\" are of shape \(tensor.shape), not [\(request.count)×height×width]")
      }
      (height, width) = (extents[extents.count - 2], extents[extents.count - 1])
      mask = try locating("draws \"mask\"") { try tensor.floats().array(of: Float.self).map { $0 != 0 } }
      boxes = nil
    } else {
      (height, width, mask) = (maps.height, maps.width, nil)
      boxes = try Box.each(request)
      guard boxes != nil else {
        throw Failure(.invalidArgument, "the metric \"pointing-game\" needs the draws \"mask\" or \"boxes\"")
      }
    }
  }

  func isHit(_ index: Int, x: Int, y: Int, _ tolerance: Double, isStrict: Bool) -> Bool {
    let reach = Int(min(tolerance, Double(max(height, width)))) + 1
    for row in max(0, y - reach)..<min(height, y + reach + 1) {
      for column in max(0, x - reach)..<min(width, x + reach + 1) where isObject(index, column, row) {
        let distance = Double((row - y) * (row - y) + (column - x) * (column - x))
        if isStrict ? distance < tolerance * tolerance : distance <= tolerance * tolerance { return true }
      }
    }
    return false
  }

  private func isObject(_ index: Int, _ x: Int, _ y: Int) -> Bool {
    if let mask { return mask[(index * height + y) * width + x] }
    let (x, y) = (Double(x), Double(y))
    return boxes?[index].contains { $0.x1 <= x && x < $0.x2 && $0.y1 <= y && y < $0.y2 } ?? false
  }
}
