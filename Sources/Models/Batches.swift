import Tensors

/// Batches of tensors: the first axis counts pictures.
extension Tensor {
  /// The first `count` of `batch` pictures; the tensor itself where it does not depend on the batch.
  func leading(_ count: Int, of batch: Int) throws -> Tensor {
    guard count < batch, shape.rank > 0, shape[0] == batch else { return self }
    return try Tensor(
      type, Shape(trusted: [count] + shape.dimensions.dropFirst()), storage: storage, byteOffset: byteOffset)
  }

  /// Tensors that differ in their first extent only, one after the other.
  init(joining parts: [Tensor]) throws {
    guard let first = parts.first else { throw Failure(.invalidArgument, "there are no images") }
    guard parts.count > 1, first.shape.rank > 0 else {
      self = first
      return
    }
    let rest = first.shape.dimensions.dropFirst()
    guard parts.allSatisfy({ $0.shape.dimensions.dropFirst() == rest && $0.type == first.type }) else {
      throw Failure(.invalidArgument, "the images come to different sizes at the model's input; fetch them one by one")
    }
    try self.init(first.type, Shape(checking: [parts.reduce(0) { $0 + $1.shape[0] }] + rest))
    var offset = 0
    for part in parts {
      (data + offset).copyMemory(from: part.data, byteCount: part.byteCount)
      offset += part.byteCount
    }
  }
}
