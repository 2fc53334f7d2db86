import Engine
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
    if let output = call.output {
      throw Failure(
        .invalidArgument, "fetching reads no scores, but the output \(quoted(output)) was given; leave it out")
    }
    let values = try names.map { try value(named: $0) }
    var call = call
    call.imageCount = images.count
    var parts = [[Tensor]](repeating: [], count: names.count)
    try forEachBatch(of: stream(images, progress), fetch: values, call, progress) { batch in
      for (i, tensor) in batch.tensors.enumerated() { parts[i].append(withBatchAxis(tensor)) }
    }
    return try parts.map { try Tensor(joining: $0) }
  }

  /// A value of a model without batch axis, with one.
  private func withBatchAxis(_ tensor: Tensor) -> Tensor {
    guard let format, !format.arrangement.hasBatchAxis, tensor.shape.dimensions.first != 1 else { return tensor }
    return tensor.reshaped(Shape(trusted: [1] + tensor.shape.dimensions))
  }

  /// [images, classes] probabilities, row by row: what the model itself gives, else the softmax of its logits, or of a
  /// single one its sigmoid; the values of a regression.
  public func classify(_ images: [ImageInput], _ call: Call, _ progress: Progress) throws -> Buffer<Float> {
    try call.refuseMethodSettings(for: "classifying")
    let head = try requiredScores(call.output)
    var call = call
    call.imageCount = images.count
    // Made when it is known how many classes there are.
    var probabilities: Tensor?
    try forEachBatch(of: stream(images, progress), fetch: [head.output], call, progress) { batch in
      let rows = try Scores(batch.tensors[0], count: batch.count, of: head)
      for (i, item) in batch.items.enumerated() {
        let row = rows.probabilities(i, isSingle: head.isSingle)
        let all = try probabilities ?? memory([images.count, row.count], for: "the probabilities")
        guard row.count == all.shape[1] else {
          throw Failure(
            .unsupported, "the images have \(all.shape[1]) and \(row.count) scores; classify them one by one")
        }
        all.data.assumingMemoryBound(to: Float.self).advanced(by: item * row.count).update(from: row, count: row.count)
        probabilities = all
      }
    }
    return try probabilities.map { $0.buffer() } ?? Buffer([])
  }

  /// Numbers for a result, within the memory limit.
  private func memory(_ extents: [Int], for what: String) throws -> Tensor {
    let shape = try Shape(checking: extents)
    try engine.limit.check(shape.count * 4, for: what)
    return try Tensor(.float32, shape)
  }
}
