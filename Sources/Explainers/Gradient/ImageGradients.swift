import Explanations
import Graph
public import Models
public import Parallel
public import Tensors

/// What a call for gradients reads: the target's parameters.
private struct GradientCall: Configurable {
  let name = "the gradient"
  let parameters = Target.parameters
  let draws = Target.draws
}

extension Model {
  /// The gradients of the target of `classes[i]` of each image i by the values `names`: of inner values, modules, or
  /// "input". For each name a tensor [images · classes per image, …], image by image.
  public func gradient(
    _ images: [ImageInput], classes: [[Int?]], at names: [String], _ call: Call, _ progress: Progress
  ) throws -> [Tensor] {
    let request = try ExplanationRequest(self, images, classes, call, progress, GradientCall())
    let values = try names.map { try tappedValue(named: $0) }
    var rows = [[Int: [Tensor]]](repeating: [:], count: images.count)
    try request.forEachTarget(at: { _ in values }) { target in
      rows[target.image][target.round] = try target.gradients.map { try $0.row(target.row, of: target.count) }
    }
    let all = rows.flatMap { $0.sorted { $0.key < $1.key }.map(\.value) }
    return try values.indices.map { i in try Tensor(joining: all.map { $0[i] }) }
  }
}
