import Explainers
import Kernels
import Parallel
import Tensors
import Testing

private func vocabulary(_ words: String, _ vectors: [Float], size: Int) throws -> Vocabulary {
  let bytes = Array(words.utf8)
  return try Vocabulary(
    vectors: Tensor(vectors, [vectors.count / size, size]), text: Tensor(bytes, .uint8, [bytes.count]))
}

@Test func wordsAreNearestByCosineAndOfEqualOnesTheFirstComesFirst() throws {
  let words = try vocabulary("long\nzero\nshort\naside\nété", [4, 0, 0, 0, 1, 0, 1, 1, -1, 0], size: 2)
  let found = try words.nearest(4, to: [2, 0, 0, 0, 0, 3], kernels: .init(.portable), parallel: .serial, progress: .unwatched)
  #expect(found[0].map { words[$0.index] } == ["long", "short", "aside", "été"])
  #expect(found[0].map(\.similarity) == [1, 1, Float(0.5.squareRoot()), -1])
  #expect(found[1].isEmpty)  // an embedding of zero length is similar to nothing
  #expect(found[2].first == Match(index: 3, similarity: Float(0.5.squareRoot())))
}

/// More words and rows than one block has, against the definition.
@Test func largeVocabulariesAreSearchedWhole() throws {
  let (count, size, rows) = (5000, 3, 70)
  var state: UInt32 = 1
  func next() -> Float {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Float(state >> 8) / Float(1 << 24) - 0.5
  }
  let vectors = (0..<count * size).map { _ in next() }
  let embeddings = (0..<rows * size).map { _ in next() }
  let words = try vocabulary((0..<count).map { "w\($0)" }.joined(separator: "\n"), vectors, size: size)
  let found = try words.nearest(7, to: embeddings, kernels: .init(Kernels.available[0]), parallel: Parallel(threads: 3), progress: .unwatched)
  func cosine(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
    let (a, b) = (a.map { Double($0) }, b.map { Double($0) })
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
  }
  for row in [0, 63, 64, 69] {
    let similarities = (0..<count).map {
      cosine(embeddings[row * size..<(row + 1) * size], vectors[$0 * size..<($0 + 1) * size])
    }
    let expected = similarities.sorted(by: >).prefix(7)
    for (match, similarity) in zip(found[row], expected) {
      #expect(abs(Double(match.similarity) - similarity) < 1e-6)
      #expect(abs(similarities[match.index] - similarity) < 1e-6)
    }
    #expect(Set(found[row].map(\.index)).count == 7)
  }
  #expect(words[4999] == "w4999")
}

@Test func aVocabularyWhoseWordsAndVectorsDoNotFitIsRefused() {
  #expect(throws: Failure.self) { try vocabulary("one\ntwo", [1, 2, 3, 4, 5, 6], size: 2) }
  #expect(throws: Failure.self) { try vocabulary("", [], size: 1) }
}
