import Tensors

/// One curve a map, of equally many points.
struct Curves {
  private(set) var points: [[Double]]

  init(count: Int) { points = Array(repeating: [], count: count) }

  mutating func append(_ score: Double, to index: Int) { points[index].append(score) }

  /// float64 [maps, points]. Throws where images of different sizes give curves of different lengths.
  func tensor() throws -> Tensor {
    let length = points.first?.count ?? 0
    guard points.allSatisfy({ $0.count == length }) else {
      throw Failure(
        .invalidArgument,
        "the images come to different sizes at the model's input, and so to curves of different "
          + "lengths; measure them one by one")
    }
    return try Tensor(points.flatMap(\.self), Shape(checking: [points.count, length]))
  }

  /// The trapezoids of width 1 under a curve.
  static func area(_ curve: [Double]) -> Double {
    guard let first = curve.first, let last = curve.last else { return .nan }
    return curve.reduce(0, +) - first / 2 - last / 2
  }
}
