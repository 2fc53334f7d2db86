public import Documents
public import Explanations
import Tensors

/// What was found of one image: a function of model, plan and sample alone, but for `seconds`.
public struct Record: Sendable {
  /// What a metric found.
  public struct Value: Sendable {
    /// NaN where it is undefined.
    public var value: Double
    /// Empty where the metric draws none.
    public var curve: [Double] = []
    /// Parameters that the caller left to the metric, and what it chose.
    public var chosen: [(name: String, value: ParameterValue)] = []
    /// What the value is made of, where that takes the images before it; `value` is NaN then, until they are folded.
    var words: Words?
  }

  /// Words of one image, for a name that grows from image to image.
  struct Words: Sendable {
    /// Of what lies where the filter is active, each once.
    var truth: [String]
    /// Found for it, nearest first, and their places in the vocabulary.
    var found: [String]
    var places: [Int]
  }

  /// One method's explanation of the image, and what metrics say of it.
  public struct Explained: Sendable {
    /// The class that is explained; -1 where the model has none.
    public var classIndex: Int
    /// The model's score of it.
    public var score: Double
    /// Whether the map says nothing.
    public var isDegenerate: Bool
    /// In the order of the plan's metrics of explanations.
    public var values: [Value]
  }

  /// What the model says of the image.
  public struct Prediction: Sendable {
    /// -1 where the model has no scores of classes.
    public var classIndex: Int
    /// NaN then.
    public var probability: Double
    /// Of the true class; nil where it is not known.
    public var truthProbability: Double?
    /// How many classes go before the true one: a larger probability, or as large a one and a smaller number.
    public var truthRank: Int?
    /// Of every class; empty where no metric needs them.
    public var probabilities: [Float] = []
    /// In the order of the plan's metrics of the classifier.
    public var values: [Value] = []
  }

  public enum Outcome: Sendable {
    case found(Prediction, [Explained])
    /// Why there is none.
    case failed(String)
  }

  public let name: String
  public let truth: Int?
  /// Tells the sample from others.
  let key: String
  /// Of the evaluation that it belongs to.
  let fingerprint: String
  public internal(set) var outcome: Outcome
  /// How long each part took: reading, classifying, each method and metric.
  public var seconds: [(name: String, value: Double)]

  public var failure: String? { if case .failed(let reason) = outcome { reason } else { nil } }
  public var prediction: Prediction? { if case .found(let prediction, _) = outcome { prediction } else { nil } }
  /// In the order of the plan's methods.
  public var explanations: [Explained] { if case .found(_, let found) = outcome { found } else { [] } }
}

extension Record {
  /// Without what is summed up elsewhere: curves, what metrics chose, times.
  var slim: Record {
    var record = self
    record.seconds = []
    guard case .found(var prediction, var explanations) = outcome else { return record }
    for i in prediction.values.indices { prediction.values[i] = Value(value: prediction.values[i].value) }
    for i in explanations.indices {
      for k in explanations[i].values.indices {
        let value = explanations[i].values[k]
        explanations[i].values[k] = Value(value: value.value, words: value.words)
      }
    }
    record.outcome = .found(prediction, explanations)
    return record
  }

  /// One line of JSON. Numbers are the shortest that read as the same; NaN is null.
  public var json: JSON {
    var members: [(String, JSON)] = [
      ("evaluation", .text(fingerprint)), ("key", .text(key)), ("name", .text(name)), ("truth", .optional(truth)),
    ]
    switch outcome {
    case .failed(let reason): members.append(("failed", .text(reason)))
    case .found(let prediction, let explanations):
      members += [
        ("predicted", .integer(prediction.classIndex)), ("probability", .number(prediction.probability)),
        ("truth_probability", prediction.truthProbability.map { .number($0) } ?? .null),
        ("truth_rank", .optional(prediction.truthRank)),
      ]
      if !prediction.probabilities.isEmpty {
        members.append(("probabilities", .list(prediction.probabilities.map { .number($0) })))
      }
      if !prediction.values.isEmpty { members.append(("scores", .list(prediction.values.map(\.json)))) }
      members.append(
        (
          "explanations",
          .list(
            explanations.map { explained in
              .object([
                ("class", .integer(explained.classIndex)), ("score", .number(explained.score)),
                ("degenerate", .bool(explained.isDegenerate)), ("values", .list(explained.values.map(\.json))),
              ])
            })
        ))
    }
    members.append(("seconds", .object(seconds.map { ($0.name, .number($0.value)) })))
    return .object(members)
  }

  public var bytes: [UInt8] { Array(json.line.utf8) }

  /// Throws `invalidArgument` for what is no record of the evaluation `fingerprint` of this plan.
  init(_ bytes: UnsafeRawBufferPointer, of plan: Plan, _ wanted: String) throws {
    let document = try locating("a record") { try JSONReader.document(bytes) }
    let damaged = Failure(.invalidArgument, "these bytes are no record of this evaluation, or are damaged")
    func required<T>(_ value: T?) throws -> T {
      guard let value else { throw damaged }
      return value
    }
    fingerprint = try required(document["evaluation"]?.string)
    guard fingerprint == wanted else {
      throw Failure(.invalidArgument, "this record is of an evaluation with other settings, or of another model")
    }
    key = try required(document["key"]?.string)
    name = try required(document["name"]?.string)
    truth = document["truth"]?.integer
    seconds = try required(document["seconds"]?.members).map { ($0, try required($1.number)) }
    if let reason = document["failed"]?.string {
      outcome = .failed(reason)
      return
    }
    func values(_ list: JSON?, _ count: Int) throws -> [Value] {
      let values = try (list?.list ?? []).map { try required(Value($0)) }
      guard values.count == count else { throw damaged }
      return values
    }
    let predicted = try required(document["predicted"]?.integer)
    let prediction = Prediction(
      classIndex: predicted, probability: predicted < 0 ? .nan : try required(document["probability"]?.number),
      truthProbability: truth == nil ? nil : document["truth_probability"]?.number,
      truthRank: document["truth_rank"]?.integer,
      probabilities: try (document["probabilities"]?.list ?? []).map { Float(try required($0.number)) },
      values: try values(document["scores"], plan.scoreMetrics.count))
    let explanations = try required(document["explanations"]?.list).map { explained in
      Explained(
        classIndex: try required(explained["class"]?.integer), score: try required(explained["score"]?.number),
        isDegenerate: try required(explained["degenerate"]?.bool),
        values: try values(explained["values"], plan.explanationMetrics.count))
    }
    guard explanations.count == plan.methods.count else { throw damaged }
    outcome = .found(prediction, explanations)
  }
}

extension Record.Value {
  /// Beyond the places of any vocabulary.
  static let mostWords = 1 << 40

  var json: JSON {
    var members: [(String, JSON)] = [("value", .exact(value))]
    if !curve.isEmpty { members.append(("curve", .list(curve.map { .exact($0) }))) }
    if !chosen.isEmpty { members.append(("chosen", JSON(chosen))) }
    if let words {
      members.append(
        (
          "words",
          .object([
            ("truth", .texts(words.truth)), ("found", .texts(words.found)),
            ("places", .list(words.places.map { .integer($0) })),
          ])
        ))
    }
    return .object(members)
  }

  init?(_ json: JSON) {
    guard let value = json["value"]?.exactNumber else { return nil }
    self.value = value
    for point in json["curve"]?.list ?? [] {
      guard let number = point.exactNumber else { return nil }
      curve.append(number)
    }
    for (name, value) in json["chosen"]?.members ?? [] {
      chosen.append((name, value.string.map { .text($0) } ?? .number(value.number ?? .nan)))
    }
    if let given = json["words"] {
      let texts = ["truth", "found"].map { given[$0]?.list?.compactMap(\.string) ?? [] }
      let places = given["places"]?.list?.compactMap(\.integer) ?? []
      guard texts[1].count == places.count, places.allSatisfy({ (0..<Self.mostWords).contains($0) }) else { return nil }
      words = Record.Words(truth: texts[0], found: texts[1], places: places)
    }
  }
}

extension JSON {
  /// Infinities too, as texts.
  fileprivate static func exact(_ value: Double) -> JSON {
    value.isInfinite ? .text(value > 0 ? "inf" : "-inf") : .number(value)
  }

  fileprivate var exactNumber: Double? {
    switch string {
    case "inf": .infinity
    case "-inf": -.infinity
    default: number
    }
  }
}
