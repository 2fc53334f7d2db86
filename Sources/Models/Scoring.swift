import Glibc

/// What images are scored by: a number for each class, from the logits of one image, and its derivatives by them.
public struct Scoring: Sendable {
  public enum Quantity: String, CaseIterable, Sendable {
    /// Before the softmax or sigmoid, even where the model ends in one.
    case logit
    /// As the model makes it of the logits; of a model that ends in logits their softmax, of a single one its sigmoid.
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

  /// How the quantity is made of logits; nil where the numbers are no logits: the graph ends in nothing that could be
  /// taken off.
  private var link: Link? {
    guard head.link != nil || head.kind == .logits else { return nil }
    switch quantity {
    case .softmax where !head.isSingle: return .softmax
    case .sigmoid, .softmax: return .sigmoid
    default: return head.link ?? (head.isSingle ? .sigmoid : .softmax)
    }
  }

  /// The scores of every class, as callers count them.
  public func callAsFunction(_ logits: [Float]) -> [Float] {
    guard let link else { return values(of: logits.map { Float(Double($0) / head.scale) }) }
    let z = logits.map(Double.init)
    guard head.isSingle, z.count == 1 else {
      switch quantity {
      case .logit: return logits
      case .logProbability: return link.logarithms(z).map { Float($0) }
      default: return link.probabilities(z).map { Float($0) }
      }
    }
    let sides = [(link.single.rest, -z[0]), (link.single.own, z[0])]
    switch quantity {
    case .logit: return [-logits[0], logits[0]]
    case .logProbability: return sides.map { Float($0.logarithms([$1])[0]) }
    default: return sides.map { Float($0.probabilities([$1])[0]) }
    }
  }

  /// Those that the scores of `classes` are made of; nil: all.
  public func logits(of classes: [Int]) -> [Int]? {
    quantity == .logit && !head.isSingle ? Set(classes).sorted() : nil
  }

  /// The derivative of the score of class `index` by each of the logits.
  public func gradient(_ logits: [Float], class index: Int) -> [Float] {
    let isSingle = head.isSingle && logits.count == 1
    let (place, side): (Int, Float) = isSingle ? (0, index == 1 ? 1 : -1) : (index, 1)
    guard quantity != .logit, let link else {
      var result = [Float](repeating: 0, count: logits.count)
      result[place] =
        link == nil ? side * Float(slope(Double(logits[place]) / head.scale, isRest: side < 0) / head.scale) : side
      return result
    }
    let own = !isSingle ? link : index == 1 ? link.single.own : link.single.rest
    let z = logits.map { Double(side * $0) }
    let derivatives = quantity == .logProbability ? own.logarithmGradient(z, place) : own.gradient(z, place)
    return derivatives.map { side * Float($0) }
  }

  /// The derivative of what is made of `number`, a probability or its logarithm, by it; of what that leaves its negative.
  private func slope(_ number: Double, isRest: Bool) -> Double {
    switch (head.kind, quantity) {
    case (.logProbabilities, .probability), (.logProbabilities, .softmax), (.logProbabilities, .sigmoid): exp(number)
    case (.logProbabilities, .logProbability) where isRest: exp(number) / -expm1(number)
    case (.probabilities, .logProbability), (.independentProbabilities, .logProbability):
      1 / (isRest ? 1 - number : number)
    default: 1
    }
  }

  public static func softmax(_ logits: [Float]) -> [Float] {
    Link.softmax.probabilities(logits.map(Double.init)).map { Float($0) }
  }

  /// Of numbers that are probabilities already, or none.
  private func values(of numbers: [Float]) -> [Float] {
    var numbers = numbers
    if head.isSingle, numbers.count == 1 {
      let p = Double(numbers[0])
      numbers = [head.kind == .logProbabilities ? Float(log(-expm1(p))) : 1 - numbers[0], numbers[0]]
    }
    switch (head.kind, quantity) {
    case (.logProbabilities, .probability), (.logProbabilities, .softmax), (.logProbabilities, .sigmoid):
      return numbers.map { Float(exp(Double($0))) }
    case (.probabilities, .logProbability), (.independentProbabilities, .logProbability):
      return numbers.map { Float(log(Double($0))) }
    default: return numbers
    }
  }
}
