import Explanations
import Graph
import Models
import Tensors

/// What a method that taps a layer sees of one class of one image.
struct Tapped {
  let activations: LayerMaps
  let gradients: LayerMaps
}

extension ExplanationRequest {
  /// Explains with maps that `draw` makes of the activations of the tapped layer and the target's gradients by them.
  ///
  /// `weights` gives the derivative of the target by the logits, where it is not the one that the parameters choose.
  /// Maps of several layers are each spread over 0…1, brought to the size of the largest, and averaged.
  func explainTapping(
    _ compat: Compat, weights: ((_ logits: [Float], _ index: Int) throws -> [Float])? = nil,
    _ draw: (Tapped) throws -> DrawnMap
  ) throws -> [Explanation] {
    let taps = { (shape: Shape) in try self.featureLayers(shape).map(\.value) }
    return try explainTargets(compat, at: taps, early: taps, weights: weights) { target in
      let maps = try featureLayers(target.shape).enumerated().map { i, layer in
        try draw(
          Tapped(
            activations: LayerMaps(layer, target.early[i], row: target.row),
            gradients: LayerMaps(layer, target.gradients[i], row: target.row)))
      }
      return try DrawnMap.mean(maps)
    }
  }

  /// The layers that the caller names, else the default one of the model.
  func featureLayers(_ shape: Shape) throws -> [FeatureLayer] {
    let analysis = try model.analysis(for: shape, scores, call)
    if layers.isEmpty {
      guard let layer = analysis.defaultLayer else {
        throw Failure(
          .invalidArgument, "no layer of this model has feature maps with a place in the image; name one (`layer`)")
      }
      return [layer]
    }
    return try layers.map { try analysis.layer($0, named: model.graph.name(of: $0)) }
  }
}

/// A map that a method drew, with what it says beside it.
struct DrawnMap {
  var grid: Heatmap
  /// What the colours span; nil: from the least to the greatest value.
  var range: ClosedRange<Float>?
  var details: [(name: String, tensor: Tensor)] = []

  /// Of several layers; the details are those of the first.
  static func mean(_ maps: [DrawnMap]) throws -> DrawnMap {
    guard let first = maps.first else { throw Failure(.internal, "no layer was tapped") }
    guard maps.count > 1 else { return first }
    let width = maps.map(\.grid.width).max() ?? 0, height = maps.map(\.grid.height).max() ?? 0
    var sum = [Float](repeating: 0, count: width * height)
    for map in maps {
      let values = try map.grid.spread.resized(width: width, height: height).values
      for (i, value) in values.enumerated() { sum[i] += value / Float(maps.count) }
    }
    return DrawnMap(grid: Heatmap(sum, width: width, height: height), details: first.details)
  }
}

/// Explanations that come round by round, to be given image by image.
struct PendingExplanations {
  private let request: ExplanationRequest
  private var made: [[Int: Explanation]]
  private var scores: [Int: ArraySlice<Float>] = [:]

  init(_ request: ExplanationRequest) {
    self.request = request
    made = request.images.map { _ in [:] }
  }

  mutating func note(_ scores: ArraySlice<Float>, _ image: Int) { self.scores[image] = scores }

  mutating func add(_ map: DrawnMap, image: Int, round: Int, class index: Int) {
    made[image][round] = Explanation(
      image: image, classIndex: index, score: scores[image]?[index] ?? .nan, grid: map.grid,
      range: map.range, field: Field(width: 0, height: 0), details: map.details)
  }

  func explanations(_ compat: Compat) throws -> [Explanation] {
    try made.enumerated().flatMap { image, rounds in
      let field = try request.model.field(of: request.images[image])
      return rounds.sorted { $0.key < $1.key }.map { _, explanation in
        explanation.finished(compat, in: field)
      }
    }
  }
}
