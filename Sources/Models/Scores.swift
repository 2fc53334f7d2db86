import Glibc
public import Tensors

/// The scores of a batch of images, one for each class.
public struct Scores {
  public let values: [Float]
  public let classCount: Int
  private let kind: Metadata.Role

  /// `tensor` is [count, classes], or such with more axes of extent 1. A single score becomes those of two classes: of
  /// logits −z and z, of probabilities 1 − p and p.
  public init(_ tensor: Tensor, count: Int, of head: ScoreHead) throws {
    var tensor = try tensor.computed()
    // Models of one image may have no axis for the batch.
    if count == 1, tensor.shape.dimensions.dropFirst().allSatisfy({ $0 == 1 }) {
      tensor = tensor.reshaped(Shape(trusted: [1, tensor.count]))
    }
    guard tensor.type == .float32, tensor.shape.rank >= 2, tensor.shape[0] == count, count > 0 else {
      throw Failure(
        .unsupported, "the model's scores are \(tensor.type) \(tensor.shape), not floating-point [images, classes]")
    }
    let kind = head.kind
    self.kind = kind
    var numbers = tensor.array(of: Float.self)
    if head.scale != 1 { numbers = numbers.map { Float(Double($0) / head.scale) } }
    if head.positions > 1 {
      // Of a class over all positions: their sum.
      let sums = stride(from: 0, to: numbers.count, by: head.positions).map { first in
        numbers[first..<min(first + head.positions, numbers.count)].reduce(0, +)
      }
      values = sums
      classCount = sums.count / count
      return
    }
    guard numbers.count == count, kind != .values else {
      values = numbers
      classCount = numbers.count / count
      return
    }
    let isLogit = kind == .logits
    values = numbers.flatMap { number in
      switch kind {
      case .logProbabilities: [Float(log(-expm1(Double(number)))), number]
      default: [isLogit ? -number : 1 - number, number]
      }
    }
    classCount = 2
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

  /// The scores of image `i` as probabilities; values of a regression stay as they are.
  public func probabilities(_ i: Int, isSingle: Bool) -> [Float] {
    let row = self[i]
    switch kind {
    case .probabilities, .independentProbabilities, .values: return Array(row)
    case .logProbabilities: return row.map { Float(exp(Double($0))) }
    default:
      if isSingle { return row.map { Float(1 / (1 + exp(-Double($0)))) } }
      let largest = Double(row.max() ?? 0)
      let powers = row.map { exp(Double($0) - largest) }
      let sum = powers.reduce(0, +)
      return powers.map { Float($0 / sum) }
    }
  }
}
