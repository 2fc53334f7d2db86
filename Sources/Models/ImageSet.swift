public import Parallel
import Tensors

/// Images that need not be in memory at once: a data set.
public struct ImageSet {
  public let count: Int
  /// Lends image `index` for the length of a call of `body`; leaves it out, without calling it, where the image cannot
  /// be had.
  let lend: (_ index: Int, _ body: (ImageInput) throws -> Void) throws -> Void

  public init(count: Int, lend: @escaping (_ index: Int, _ body: (ImageInput) throws -> Void) throws -> Void) {
    self.count = count
    self.lend = lend
  }

  public init(_ images: [ImageInput]) {
    self.init(count: images.count) { index, body in try body(images[index]) }
  }
}

extension Model {
  /// Images of a set as a stream of inputs, in the order of `indices`; one prepared image is held at a time.
  public func stream(
    _ set: ImageSet, _ indices: some RandomAccessCollection<Int>, _ progress: Progress
  ) -> some InputStream {
    SetStream(model: self, set: set, indices: indices, progress: progress)
  }
}

private final class SetStream<Indices: RandomAccessCollection<Int>>: InputStream {
  private let model: Model
  private let set: ImageSet
  private let indices: Indices
  private let progress: Progress
  /// The item that was asked for last, prepared; nil inside where it cannot be had.
  private var last: (item: Int, tensor: Tensor?)?

  init(model: Model, set: ImageSet, indices: Indices, progress: Progress) {
    self.model = model
    self.set = set
    self.indices = indices
    self.progress = progress
  }

  var count: Int { indices.count }

  func image(_ i: Int) -> Int? { number(i) }

  private func number(_ i: Int) -> Int { indices[indices.index(indices.startIndex, offsetBy: i)] }

  func shape(_ i: Int) throws -> Shape? {
    try prepared(i).map { Shape(trusted: Array($0.shape.dimensions.dropFirst())) }
  }

  func write(_ i: Int, into target: UnsafeMutablePointer<Float>) throws {
    guard let tensor = try prepared(i) else { throw Failure(.internal, "image \(i) is missing") }
    target.update(from: tensor.data.assumingMemoryBound(to: Float.self), count: tensor.count)
  }

  private func prepared(_ i: Int) throws -> Tensor? {
    if let last, last.item == i { return last.tensor }
    var tensor: Tensor?
    try set.lend(number(i)) { image in
      tensor = try locating("image \(number(i))") { try model.prepared(image, progress) }
    }
    last = (i, tensor)
    return tensor
  }
}
