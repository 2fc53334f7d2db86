import Engine
import Glibc
import Graph
public import Parallel
public import Tensors

extension Model {
  /// The threads that a call runs on.
  public func parallel(for call: Call) -> Parallel {
    call.threads > 0 ? Parallel(threads: min(call.threads, 1024)) : parallel
  }

  /// The named values for all images: [images, …] each; a value that does not depend on the batch, once.
  public func fetch(
    _ names: [String], for images: [ImageInput], _ call: Call, _ progress: Progress
  ) throws -> [Tensor] {
    try call.refuseMethodSettings(for: "fetching values")
    let values = try names.map { try value(named: $0) }
    var parts = [[Tensor]](repeating: [], count: names.count)
    try forEachBatch(of: stream(images), fetch: values, call, progress) { batch in
      for (i, tensor) in batch.tensors.enumerated() { parts[i].append(tensor) }
    }
    return try parts.map { try Tensor(joining: $0) }
  }

  /// [images, classes] probabilities, row by row: the softmax of logits, or what the model itself gives.
  public func classify(_ images: [ImageInput], _ call: Call, _ progress: Progress) throws -> [Float] {
    try call.refuseMethodSettings(for: "classifying")
    guard let scores else { throw Failure(.unsupported, "the model has no class scores") }
    var probabilities: [Float] = []
    try forEachBatch(of: stream(images), fetch: [scores.value], call, progress) { batch in
      let rows = try Scores(batch.tensors[0], count: batch.count)
      for i in 0..<batch.count { probabilities += probability(rows[i]) }
    }
    return probabilities
  }

  /// One image's scores as probabilities, by the role of the output that they come from.
  func probability(_ scores: ArraySlice<Float>) -> [Float] {
    switch self.scores?.role {
    case .probabilities?: return Array(scores)
    case .logProbabilities?: return scores.map { Float(exp(Double($0))) }
    default:
      let largest = Double(scores.max() ?? 0)
      let powers = scores.map { exp(Double($0) - largest) }
      let sum = powers.reduce(0, +)
      return powers.map { Float($0 / sum) }
    }
  }
}

/// The class scores of a batch of images.
public struct Scores {
  public let values: [Float]
  public let classCount: Int

  /// `tensor` is [count, classes], or such with more axes of extent 1.
  public init(_ tensor: Tensor, count: Int) throws {
    let tensor = try tensor.computed()
    guard tensor.type == .float32, tensor.shape.rank >= 2, tensor.shape[0] == count, count > 0 else {
      throw Failure(
        .unsupported, "the model's scores are \(tensor.type) \(tensor.shape), not floating-point [images, classes]")
    }
    values = tensor.array(of: Float.self)
    classCount = values.count / count
  }

  /// The scores of image `i`; indices start at 0 again.
  public subscript(i: Int) -> ArraySlice<Float> { Array(values[i * classCount..<(i + 1) * classCount])[...] }

  /// The class with the largest score, the first of equal ones; NaN never wins.
  public func predicted(_ i: Int) -> Int {
    let row = self[i]
    var best = 0
    for c in row.indices where row[c] > row[best] || (row[best].isNaN && !row[c].isNaN) { best = c }
    return best
  }
}
