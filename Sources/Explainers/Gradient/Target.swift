import Explanations
import Graph
import Models
import Operators
import Tensors

/// What is explained of a model's scores: a function of the logits of one image, with its gradient by them.
///
/// By default it is the logit of a class, even where the graph ends in a softmax or sigmoid: a saturated probability
/// has no gradient.
struct Target {
  enum Quantity: String, CaseIterable {
    case logit, probability
    case logProbability = "log-probability"
    /// The cosine to a vector that the caller feeds.
    case similarity
  }

  static let draws = [
    Draw("mask", "[height, width] of an output with an extent in space: how much each position counts; all count 1."),
    Draw("embedding", "[numbers of the output]: with of=similarity, the vector that the output is compared with."),
  ]

  static let parameters = [
    Parameter(
      "of", default: Quantity.logit,
      "What is explained: the logit of the class, even where the model ends in softmax or sigmoid; its probability; the "
        + "logarithm of that; or the output's similarity (cosine) to the vector fed as the draw embedding."),
    Parameter("sign", default: 1, in: -1...1, "1: evidence for it; -1: evidence against it."),
    Parameter(
      "versus", default: -1, in: -1...1_000_000,
      "A class whose score is subtracted, so that the map tells the two apart; -1: none."),
  ]

  /// Of methods that leave no choice, so that the same call fits all of the family.
  static let fixed = Parameter(
    "of", choices: [Quantity.logit.rawValue], default: Quantity.logit.rawValue, "Nothing else can be chosen here.")

  let head: ScoreHead
  private let quantity: Quantity
  private let scoring: Scoring
  private let sign: Float
  private let versus: Int?
  private let mask: [Float]?
  private let embedding: [Float]?

  init(_ request: ExplanationRequest) throws {
    head = try request.scores ?? request.model.requiredScores()
    let positions = head.positions
    mask = try request.call.draws["mask"].map { tensor in
      guard tensor.count == positions, positions > 1 else {
        throw Failure(
          .invalidArgument, "the mask is of shape \(tensor.shape); the output has \(positions) positions for each class"
        )
      }
      return try tensor.floats().array(of: Float.self)
    }
    embedding = try request.call.draws["embedding"].map { try $0.floats().array(of: Float.self) }
    quantity = try request.settings.choice("of")
    scoring = Scoring(head: head, quantity: Scoring.Quantity(rawValue: quantity.rawValue) ?? .logit)
    let side = try request.settings.integer("sign")
    guard side != 0 else { throw Failure(.invalidArgument, "the parameter \"sign\" is 0; it must be 1 or -1") }
    sign = Float(side)
    let other = try request.settings.integer("versus")
    versus = other < 0 ? nil : other
    if quantity == .similarity {
      let unread = [
        (mask != nil, "the draws \"mask\""), (versus != nil, "the parameter \"versus\""),
        (request.classes.joined().contains { $0 != nil }, "a class"),
      ]
      if let (_, what) = unread.first(where: \.0) {
        throw Failure(
          .invalidArgument, "of=similarity compares the whole output, without \(what); leave it out")
      }
    }
    guard embedding == nil || quantity == .similarity else {
      throw Failure(
        .invalidArgument, "the draws \"embedding\" are read with of=similarity only; leave them out, or say so")
    }
    if let versus, let count = head.classCount, versus >= count {
      throw Failure(.invalidArgument, "versus is \(versus); the model has \(count) classes, 0 to \(count - 1)")
    }
  }

  /// The derivative of the target for class `index` by each of an image's `logits`. Of an output with an extent in
  /// space the targets of its positions are summed.
  func weights(_ logits: [Float], class index: Int) throws -> [Float] {
    if quantity == .similarity { return try similarity(logits).map { sign * $0 } }
    guard head.positions > 1 else { return own(logits, class: index) }
    let count = logits.count / head.positions
    var weights = [Float](repeating: 0, count: logits.count)
    for p in 0..<head.positions where mask?[p] != 0 {
      let column = (0..<count).map { logits[$0 * head.positions + p] }
      for (k, weight) in own(column, class: index).enumerated() {
        weights[k * head.positions + p] = weight * (mask?[p] ?? 1)
      }
    }
    return weights
  }

  /// The derivative of the cosine: (e/|e| − cos·y/|y|)/|y|.
  private func similarity(_ y: [Float]) throws -> [Float] {
    guard let embedding, embedding.count == y.count else {
      throw Failure(
        .invalidArgument,
        "of=similarity needs the draw \"embedding\" with the \(y.count) numbers of the output"
          + (embedding.map { "; it has \($0.count)" } ?? ""))
    }
    func length(_ v: [Float]) -> Double { v.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
    let (a, b) = (length(y), length(embedding))
    guard a > 0, b > 0 else { return y.map { _ in 0 } }
    let cosine = zip(y, embedding).reduce(0) { $0 + Double($1.0) * Double($1.1) } / (a * b)
    return zip(y, embedding).map { Float((Double($1) / b - cosine * Double($0) / a) / a) }
  }

  private func own(_ logits: [Float], class index: Int) -> [Float] {
    var weights = scoring.gradient(logits, class: index)
    if let versus {
      for (i, weight) in scoring.gradient(logits, class: versus).enumerated() { weights[i] -= weight }
    }
    return sign < 0 ? weights.map { -$0 } : weights
  }
}

extension Call {
  /// The class to ask for where an explanation of class `index` is to be made again: nil where it is of none, or where
  /// what is explained has none.
  public func classAgain(_ index: Int) -> Int? {
    index < 0 || parameters["of"] == .text(Target.Quantity.similarity.rawValue) ? nil : index
  }
}
