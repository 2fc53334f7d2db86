import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors
import Transforms

/// What a method that taps a layer sees of one class of one image.
struct Tapped {
  let activations: LayerMaps
  let gradients: LayerMaps
  let classIndex: Int
  /// The logits of the image.
  let logits: [Float]
}

extension ExplanationRequest {
  /// Explains with maps that `draw` makes of the activations of the tapped layer and the target's gradients by them. The
  /// images of a batch share their forward pass, and so do the classes of an image.
  ///
  /// `weights` gives the derivative of the target by the logits, where it is not the one that the parameters choose.
  /// Maps of several layers are each spread over 0…1, brought to the size of the largest, and averaged.
  func explainTapping(
    _ compat: Compat, weights: ((_ logits: [Float], _ index: Int) -> [Float])? = nil,
    _ draw: (Tapped) throws -> DrawnMap
  ) throws -> [Explanation] {
    let target = try Target(self)
    let layers = { (shape: Shape) in try self.featureLayers(shape) }
    var results = PendingExplanations(self)
    var classes: [[Int]] = []
    try model.forEachBackward(
      of: model.stream(images), target: target.head.logits, at: { try layers($0).map(\.value) }, rules: .standard,
      early: { try [target.head.output, target.head.logits] + layers($0).map(\.value) }, call, progress,
      weights: { batch in
        let scores = try Scores(batch.early[0], count: batch.items.count, of: target.head)
        classes = try batch.items.enumerated().map { row, image in try resolvedClasses(image, scores, row: row) }
        results.note(scores, batch.items)
        return try targetWeights(batch, classes, weights ?? target.weights)
      }
    ) { batch, round, gradients in
      let layers = try layers(batch.shape)
      let logits = try LogitRows(batch.early[1], count: batch.items.count)
      for (row, image) in batch.items.enumerated() where round < classes[row].count {
        let maps = try layers.enumerated().map { i, layer in
          try draw(
            Tapped(
              activations: LayerMaps(layer, batch.early[2 + i], row: row),
              gradients: LayerMaps(layer, gradients[i], row: row), classIndex: classes[row][round],
              logits: logits[row]))
        }
        results.add(try DrawnMap.mean(maps), image: image, round: round, class: classes[row][round])
      }
    }
    return try results.explanations(compat)
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

  /// For each round, what the logits of a batch are multiplied by; images with fewer classes get 0.
  func targetWeights(
    _ batch: BackwardBatch, _ classes: [[Int]], _ derivative: (_ logits: [Float], _ index: Int) -> [Float]
  ) throws -> [Tensor] {
    let logits = try LogitRows(batch.early[1], count: batch.items.count)
    return try (0..<(classes.map(\.count).max() ?? 0)).map { round in
      var weights = [Float](repeating: 0, count: batch.target.shape.count)
      for (row, wanted) in classes.enumerated() where round < wanted.count {
        for (i, weight) in derivative(logits[row], wanted[round]).enumerated() {
          weights[row * logits.count + i] = weight
        }
      }
      return try Tensor(weights, batch.target.shape)
    }
  }
}

/// The logits of each image of a batch.
struct LogitRows {
  let count: Int
  private let values: [Float]

  init(_ tensor: Tensor, count images: Int) throws {
    guard tensor.type == .float32, images > 0, tensor.shape.count % images == 0 else {
      throw Failure(.unsupported, "the logits are \(tensor.type) \(tensor.shape) for \(images) images")
    }
    values = tensor.array(of: Float.self)
    count = values.count / images
  }

  subscript(row: Int) -> [Float] { Array(values[row * count..<(row + 1) * count]) }
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
      let values = map.grid.spread.resized(width: width, height: height).values
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

  mutating func note(_ scores: Scores, _ items: [Int]) {
    for (row, image) in items.enumerated() { self.scores[image] = scores[row] }
  }

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
