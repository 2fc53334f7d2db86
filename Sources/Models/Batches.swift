import Engine
import Tensors

/// Items of a stream that run together.
struct Batch {
  /// Positions in the stream.
  let items: [Int]
  /// What part of the stream this ends, items that were left out included.
  let start: Int
  let end: Int
  /// [rows, …]: the items, then zeros.
  let tensor: Tensor
  /// Whether the model says how many rows there must be.
  let isDeclared: Bool

  /// One item by itself.
  func part(_ i: Int) throws -> Tensor {
    let shape = Shape(trusted: [1] + tensor.shape.dimensions.dropFirst())
    return try Tensor(
      .float32, shape, storage: tensor.storage, byteOffset: tensor.byteOffset + i * shape.count * 4)
  }
}

/// Cuts a stream into batches of items of one shape.
///
/// A stream that fits into one batch has a plan for just its length. Of a longer one the last batch is filled up with
/// zeros to a power of two, so that few plans are made whatever the lengths.
struct Batches<Stream: InputStream> {
  let stream: Stream
  let size: Int
  /// How many rows the model's input must have.
  let declared: Int?
  let limit: MemoryLimit
  private var position = 0

  init(stream: Stream, size: Int, declared: Int?, limit: MemoryLimit) {
    self.stream = stream
    self.size = size
    self.declared = declared
    self.limit = limit
  }

  mutating func next() throws -> Batch? {
    let start = position
    var shape: Shape?
    while position < stream.count, shape == nil {
      shape = try stream.shape(position)
      if shape == nil { position += 1 }
    }
    guard let shape else { return nil }
    if let declared, declared < 1 {
      throw Failure(.invalidModel, "the model's input takes batches of \(declared)")
    }
    let room = min(size, stream.count - position)
    let most = declared ?? rows(room)
    let full = try Shape(checking: [most] + shape.dimensions)
    try limit.check(full.count * 4, for: "the batch of \(most) images")
    let memory = try Storage(byteCount: full.count * 4)
    let target = memory.base.assumingMemoryBound(to: Float.self)
    var items: [Int] = []
    while items.count < room, position < stream.count {
      guard let following = items.isEmpty ? shape : try stream.shape(position) else {
        position += 1
        continue
      }
      guard following == shape else { break }
      try stream.write(position, into: target + items.count * shape.count)
      items.append(position)
      position += 1
    }
    let rows = declared ?? rows(items.count)
    (target + items.count * shape.count).update(repeating: 0, count: (rows - items.count) * shape.count)
    let tensor = try Tensor(.float32, Shape(trusted: [rows] + shape.dimensions), storage: memory)
    return Batch(items: items, start: start, end: position, tensor: tensor, isDeclared: declared != nil)
  }

  /// The rows that `count` items take.
  private func rows(_ count: Int) -> Int {
    guard stream.count > size, count < size else { return count }
    var rows = 1
    while rows < count { rows *= 2 }
    return min(rows, size)
  }
}

/// Batches of tensors: the first axis counts images.
extension Tensor {
  /// Row `i` of the first axis, which stays, of extent 1.
  func slice(_ i: Int) throws -> Tensor {
    let row = Shape(trusted: [1] + shape.dimensions.dropFirst())
    return try Tensor(type, row, storage: storage, byteOffset: byteOffset + i * row.count * type.byteCount)
  }

  /// The first `count` of `batch` images; the tensor itself where it does not depend on the batch.
  func leading(_ count: Int, of batch: Int) throws -> Tensor {
    guard count < batch, shape.rank > 0, shape[0] == batch else { return self }
    return try Tensor(
      type, Shape(trusted: [count] + shape.dimensions.dropFirst()), storage: storage, byteOffset: byteOffset)
  }

  /// Image `i` of `batch`, [1, …]; the tensor itself where it does not depend on the batch.
  public func row(_ i: Int, of batch: Int) throws -> Tensor {
    guard shape.rank > 0, shape[0] == batch else { return self }
    let own = Shape(trusted: [1] + shape.dimensions.dropFirst())
    return try Tensor(type, own, storage: storage, byteOffset: byteOffset + i * own.count * type.byteCount)
  }

  /// Tensors that differ in their first extent only, one after the other.
  public init(joining parts: [Tensor]) throws {
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
