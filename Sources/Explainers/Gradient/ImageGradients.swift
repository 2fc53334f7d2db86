public import Explanations
import Graph
public import Models
public import Parallel
public import Tensors
import Transforms

/// What a call for gradients reads: the target's parameters.
private struct GradientCall: Configurable {
  let name = "the gradient"
  let parameters = Target.parameters
}

extension Model {
  /// What `gradient(_:classes:at:_:_:)` reads of a call.
  public static var gradientParameters: [Parameter] { Target.parameters }

  /// The gradients of the target of `classes[i]` of each image i by the values `names`: of inner values, modules, or
  /// "input". For each name a tensor [images · classes per image, …], image by image.
  public func gradient(
    _ images: [ImageInput], classes: [[Int?]], at names: [String], _ call: Call, _ progress: Progress
  ) throws -> [Tensor] {
    let request = try ExplanationRequest(self, images, classes, call, progress, GradientCall())
    let target = try Target(request)
    let values = try names.map { try tappedValue(named: $0) }
    var rows = [[Int: [Tensor]]](repeating: [:], count: images.count)
    var wanted: [[Int]] = []
    try forEachBackward(
      of: stream(images), target: target.head.logits, at: { _ in values }, rules: .standard,
      early: { _ in [target.head.output, target.head.logits] }, request.call, progress,
      weights: { batch in
        let scores = try Scores(batch.early[0], count: batch.items.count, of: target.head)
        wanted = try batch.items.enumerated().map { row, image in
          try request.resolvedClasses(image, scores, row: row)
        }
        return try request.targetWeights(batch, wanted, target.weights)
      }
    ) { batch, round, gradients in
      for (row, image) in batch.items.enumerated() where round < wanted[row].count {
        rows[image][round] = try gradients.map { try $0.row(row, of: batch.items.count) }
      }
    }
    let all = rows.flatMap { $0.sorted { $0.key < $1.key }.map(\.value) }
    return try values.indices.map { i in try Tensor(joining: all.map { $0[i] }) }
  }
}
