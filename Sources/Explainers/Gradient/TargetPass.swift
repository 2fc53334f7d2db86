import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors
import Transforms

/// One class of one image, gone backward.
struct TargetRound {
  /// The image's index in the call, and its row in the tensors.
  let image: Int
  let row: Int
  /// Which of the image's classes this is, from 0, and its index.
  let round: Int
  let classIndex: Int
  /// [channels, height, width] at the input.
  let shape: Shape
  /// The scores of the image.
  let scores: ArraySlice<Float>
  /// The forward values that were asked for, and the gradients: [rows, …] each.
  let early: [Tensor]
  let gradients: [Tensor]
  /// How many rows there are.
  let count: Int
}

extension ExplanationRequest {
  /// Goes forward with all images and backward with each of their classes, from the target to `values`. The images of a
  /// batch share their forward pass, and so do the classes of an image.
  ///
  /// `early` are values of the forward pass that `body` needs. `weights` gives the derivative of the target by the
  /// logits, where it is not the one that the parameters choose.
  func forEachTarget(
    at values: (Shape) throws -> [ValueID], early: (Shape) throws -> [ValueID] = { _ in [] },
    exits: (Shape) throws -> BackwardPass.Exits? = { _ in nil },
    weights: ((_ logits: [Float], _ index: Int) throws -> [Float])? = nil, _ body: (TargetRound) throws -> Void
  ) throws {
    let head: ScoreHead
    let derivative: (_ logits: [Float], _ index: Int) throws -> [Float]
    if let weights {
      (head, derivative) = (try self.scores ?? model.requiredScores(), weights)
    } else {
      let target = try Target(self)
      (head, derivative) = (target.head, target.weights)
    }
    var classes: [[Int]] = []
    var scores: Scores?
    try model.forEachBackward(
      of: model.stream(images, progress), target: head.logits, at: values, rules: .standard,
      early: { try [head.output, head.logits] + early($0) }, exits: exits, call, progress,
      weights: { batch in
        let own = try Scores(batch.early[0], count: batch.items.count, of: head)
        classes = try batch.items.enumerated().map { row, image in try resolvedClasses(image, own, row: row) }
        scores = own
        return try targetWeights(batch, classes, derivative)
      }
    ) { batch, round, gradients in
      for (row, image) in batch.items.enumerated() where round < classes[row].count {
        try body(
          TargetRound(
            image: image, row: row, round: round, classIndex: classes[row][round], shape: batch.shape,
            scores: scores?[row] ?? [], early: Array(batch.early[2...]), gradients: gradients, count: batch.items.count)
        )
      }
    }
  }

  /// Explains with the maps that `draw` makes of each class of each image, brought to the range that `compat` ends
  /// with.
  func explainTargets(
    _ compat: Compat, at values: (Shape) throws -> [ValueID], early: (Shape) throws -> [ValueID] = { _ in [] },
    exits: (Shape) throws -> BackwardPass.Exits? = { _ in nil },
    weights: ((_ logits: [Float], _ index: Int) throws -> [Float])? = nil, _ draw: (TargetRound) throws -> DrawnMap
  ) throws -> [Explanation] {
    var results = PendingExplanations(self)
    try forEachTarget(at: values, early: early, exits: exits, weights: weights) { target in
      results.note(target.scores, target.image)
      results.add(try draw(target), image: target.image, round: target.round, class: target.classIndex)
    }
    return try results.explanations(compat)
  }

  /// For each round, what the logits of a batch are multiplied by; images with fewer classes get 0.
  func targetWeights(
    _ batch: EarlyBatch, _ classes: [[Int]], _ derivative: (_ logits: [Float], _ index: Int) throws -> [Float]
  ) throws -> [Tensor] {
    let logits = try LogitRows(batch.early[1], count: batch.items.count)
    return try (0..<(classes.map(\.count).max() ?? 0)).map { round in
      var weights = [Float](repeating: 0, count: batch.late.shape.count)
      for (row, wanted) in classes.enumerated() where round < wanted.count {
        for (i, weight) in try derivative(logits[row], wanted[round]).enumerated() {
          weights[row * logits.count + i] = weight
        }
      }
      return try Tensor(weights, batch.late.shape)
    }
  }
}

/// The logits of each image of a batch.
struct LogitRows {
  let count: Int
  private let values: [Float]

  init(_ tensor: Tensor, count images: Int) throws {
    guard tensor.type.computed == .float32, images > 0, tensor.shape.count % images == 0 else {
      throw Failure(.unsupported, "the logits are \(tensor.type) \(tensor.shape) for \(images) images")
    }
    values = try tensor.floats().array(of: Float.self)
    count = values.count / images
  }

  subscript(row: Int) -> [Float] { Array(values[row * count..<(row + 1) * count]) }
}
