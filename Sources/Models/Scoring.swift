import Glibc

/// What changed images are scored by: a number for each class, from the logits of one image.
public struct Scoring: Sendable {
  public enum Quantity: String, CaseIterable, Sendable {
    /// Before the softmax or sigmoid, even where the model ends in one.
    case logit
    /// Softmax, or sigmoid where the model gives each class its own.
    case probability
    case softmax
    case sigmoid
    case logProbability = "log-probability"
  }

  public let head: ScoreHead
  public let quantity: Quantity

  public init(head: ScoreHead, quantity: Quantity) {
    self.head = head
    self.quantity = quantity
  }

  /// The scores of every class, as callers count them.
  public func callAsFunction(_ logits: [Float]) -> [Float] {
    // The graph ends in no softmax that could be taken off.
    if head.logits == head.output, head.kind != .logits { return values(of: logits) }
    if head.isSingle, logits.count == 1 {
      let z = logits[0]
      switch quantity {
      case .logit: return [-z, z]
      case .logProbability: return [Float(log(logistic(-z))), Float(log(logistic(z)))]
      case .probability, .softmax, .sigmoid: return [Float(logistic(-z)), Float(logistic(z))]
      }
    }
    let isIndependent = head.kind == .independentProbabilities
    switch quantity {
    case .logit: return logits
    case .sigmoid: return logits.map { Float(logistic($0)) }
    case .probability where isIndependent: return logits.map { Float(logistic($0)) }
    case .logProbability where isIndependent: return logits.map { Float(log(logistic($0))) }
    case .probability, .softmax: return Self.softmax(logits)
    case .logProbability: return Self.logSoftmax(logits)
    }
  }

  /// Those that the scores of `classes` are made of; nil: all.
  public func logits(of classes: [Int]) -> [Int]? {
    quantity == .logit && !head.isSingle ? Set(classes).sorted() : nil
  }

  /// The derivative of the score of class `index` by each of the logits.
  public func gradient(_ logits: [Float], class index: Int) -> [Float] {
    if head.isSingle, logits.count == 1 {
      let side: Float = index == 1 ? 1 : -1
      let p = head.logits == head.output && head.kind != .logits ? nil : logistic(side * logits[0])
      return [side * Float(slope(p, ofOne: self(logits)[index]))]
    }
    var result = [Float](repeating: 0, count: logits.count)
    if head.logits == head.output, head.kind != .logits {
      result[index] = Float(slope(nil, ofOne: values(of: logits)[index]))
    } else if quantity == .logit {
      result[index] = 1
    } else if quantity == .sigmoid || (quantity != .softmax && head.kind == .independentProbabilities) {
      result[index] = Float(slope(logistic(logits[index]), ofOne: 0))
    } else {
      let p = Self.softmax(logits)
      let factor = quantity == .logProbability ? 1 : p[index]
      for i in result.indices { result[i] = factor * ((i == index ? 1 : 0) - p[i]) }
    }
    return result
  }

  /// By a logit of which `p` is the sigmoid; without one by the value itself, of which `score` was made.
  private func slope(_ p: Double?, ofOne score: Float) -> Double {
    guard let p else { return quantity == .logProbability ? exp(-Double(score)) : 1 }
    switch quantity {
    case .logit: return 1
    case .logProbability: return 1 - p
    case .probability, .softmax, .sigmoid: return p * (1 - p)
    }
  }

  public static func softmax(_ logits: [Float]) -> [Float] {
    let largest = Double(logits.max() ?? 0)
    let powers = logits.map { exp(Double($0) - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { Float($0 / sum) }
  }

  /// Not the logarithm of the softmax, which may be 0.
  private static func logSoftmax(_ logits: [Float]) -> [Float] {
    let largest = Double(logits.max() ?? 0)
    let sum = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
    return logits.map { Float(Double($0) - largest - log(sum)) }
  }

  private func logistic(_ z: Float) -> Double { 1 / (1 + exp(-Double(z))) }

  /// Of numbers that are probabilities already, or none.
  private func values(of numbers: [Float]) -> [Float] {
    var numbers = numbers
    if head.isSingle, numbers.count == 1, head.kind != .logProbabilities { numbers = [1 - numbers[0], numbers[0]] }
    switch (head.kind, quantity) {
    case (.logProbabilities, .probability), (.logProbabilities, .softmax), (.logProbabilities, .sigmoid):
      return numbers.map { Float(exp(Double($0))) }
    case (.probabilities, .logProbability), (.independentProbabilities, .logProbability):
      return numbers.map { Float(log(Double($0))) }
    default: return numbers
    }
  }
}
