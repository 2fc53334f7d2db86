import Glibc
import Kernels
import Parallel
import Tensors

/// A word of a vocabulary, and how similar something is to it.
public struct Match: Sendable, Hashable {
  /// The word's place in the vocabulary.
  public let index: Int
  /// Cosine, in −1…1.
  public let similarity: Float

  public init(index: Int, similarity: Float) {
    self.index = index
    self.similarity = similarity
  }
}

/// Words with a vector each, read where they lie in the model file: nothing in proportion to the vectors is
/// copied.
public struct Vocabulary: Sendable {
  public let count: Int
  /// Numbers in a vector.
  public let size: Int
  private let vectors: Tensor
  private let text: Tensor
  /// Where each word begins in `text`, and where a further one would.
  private let starts: [Int]

  /// `vectors` is [words, size], `text` the words in UTF-8, one a line. Throws `invalidModel` where they do
  /// not fit.
  public init(vectors: Tensor, text: Tensor) throws {
    guard vectors.type == .float32, vectors.shape.rank == 2, text.type == .uint8, text.shape.rank == 1 else {
      throw Failure(
        .invalidModel,
        "the vocabulary is \(vectors.type) \(vectors.shape) with words in \(text.type) \(text.shape); expected float32 "
          + "[words×size] and uint8 [bytes]")
    }
    self.vectors = try vectors.aligned()
    self.text = text
    count = vectors.shape[0]
    size = vectors.shape[1]
    starts = Self.lines(of: text.bytes)
    guard starts.count - 1 == count, count > 0, size > 0 else {
      throw Failure(
        .invalidModel, "the vocabulary has \(starts.count - 1) words and \(count) vectors of \(size) numbers")
    }
  }

  private static func lines(of bytes: UnsafeRawBufferPointer) -> [Int] {
    var starts = [0]
    guard let base = bytes.baseAddress else { return starts }
    var position = 0
    while let found = memchr(base + position, 0x0A, bytes.count - position) {
      position = UnsafeRawPointer(found) - base + 1
      starts.append(position)
    }
    return starts + [bytes.count + 1]
  }

  /// Word `index`; what is not UTF-8 in it is replaced.
  public subscript(index: Int) -> String {
    let bytes = text.bytes[starts[index]..<starts[index + 1] - 1]
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The `limit` words that are most similar to each of `embeddings`, [rows, size]: by cosine, most similar
  /// first, of equal ones the first in the vocabulary. Zero vectors are similar to nothing.
  public func nearest(
    _ limit: Int, to embeddings: [Float], kernels: Kernels, parallel: Parallel, progress: Progress
  ) throws -> [[Match]] {
    precondition(embeddings.count % size == 0)
    guard !embeddings.isEmpty else { return [] }
    let lengths = norms(kernels, parallel)
    let rows = embeddings.count / size
    var result: [[Match]] = []
    for first in stride(from: 0, to: rows, by: Self.rowsAtOnce) {
      try progress.advance(first, of: rows)
      let last = min(rows, first + Self.rowsAtOnce)
      let part = Array(embeddings[first * size..<last * size])
      result += nearest(limit, to: part, rows: last - first, lengths, kernels, parallel)
    }
    try progress.advance(rows, of: rows)
    return result
  }

  private static let rowsAtOnce = 64
  private static let wordsAtOnce = 2048

  /// Euclidean lengths of all vectors.
  private func norms(_ kernels: Kernels, _ parallel: Parallel) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { lengths, filled in
      if let base = lengths.baseAddress {
        let source = UnsafePointer(vectors.data.assumingMemoryBound(to: Float.self))
        kernels.reduce(.l2, outer: count, axis: size, inner: 1, source, into: base, parallel)
      }
      filled = count
    }
  }

  private func nearest(
    _ limit: Int, to embeddings: [Float], rows: Int, _ lengths: [Float], _ kernels: Kernels, _ parallel: Parallel
  ) -> [[Match]] {
    var rankings = (0..<rows).map { row in
      Ranking(limit: limit, length: norm(embeddings[row * size..<(row + 1) * size]))
    }
    var products = [Float](repeating: 0, count: rows * Self.wordsAtOnce)
    for first in stride(from: 0, to: count, by: Self.wordsAtOnce) {
      let words = first..<min(count, first + Self.wordsAtOnce)
      products.withUnsafeMutableBufferPointer { products in
        guard let target = products.baseAddress else { return }
        embeddings.withUnsafeBufferPointer { source in
          guard let source = source.baseAddress else { return }
          kernels.multiplyTransposed(
            rows: rows, depth: size, columns: words.count, source, stride: size, vectors.data + 4 * size * first,
            into: target, stride: Self.wordsAtOnce, .none, parallel)
        }
        rankings.withUnsafeMutableBufferPointer { rankings in
          parallel.forEach(rows) { range in
            for row in range { rankings[row].add(words, target + row * Self.wordsAtOnce, lengths) }
          }
        }
      }
    }
    return rankings.map(\.best)
  }
}

/// The Euclidean length, summed in double precision.
func norm(_ values: some Sequence<Float>) -> Double {
  values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
}

/// The most similar words so far, best first.
private struct Ranking {
  let limit: Int
  /// That of the embedding.
  let length: Double
  private(set) var best: [Match] = []

  init(limit: Int, length: Double) {
    self.limit = limit
    self.length = length
  }

  /// `products` are those of the embedding with `words`, whose vectors are as long as `lengths` says.
  mutating func add(_ words: Range<Int>, _ products: UnsafePointer<Float>, _ lengths: [Float]) {
    guard length > 0, length.isFinite, limit > 0 else { return }
    var worst = best.count < limit ? -Float.infinity : best[limit - 1].similarity
    for (i, word) in words.enumerated() {
      let similarity = Float(Double(products[i]) / (length * Double(lengths[word])))
      // Words come in order, so one that is only as similar stands behind; NaN is not more than anything.
      guard similarity > worst else { continue }
      let place = best.firstIndex { $0.similarity < similarity } ?? best.count
      best.insert(Match(index: word, similarity: similarity), at: place)
      if best.count > limit { best.removeLast() }
      if best.count == limit { worst = best[limit - 1].similarity }
    }
  }
}
