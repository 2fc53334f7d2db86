public import Documents
public import Explainers
public import Explanations
public import Metrics
import Graph
public import Images
import Kernels
public import Models
import Parallel
import Tensors

/// A method, as an evaluation uses it. The same method may be used more than once, with other settings.
public struct MethodUse: Sendable {
  /// How results call it: "rise", or "rise@few" for another use of it.
  public let name: String
  public let method: any Explainer
  public let call: Call

  /// Throws where `call` sets what the method does not read, or its model cannot be explained by it.
  public init(_ name: String, _ call: Call, for model: Model) throws {
    self.name = name
    method = try model.explainer(named: Self.base(of: name))
    self.call = call
    _ = try ExplanationRequest(model, [], [], call, .unwatched, method)
  }

  /// "rise@few" → "rise"
  public static func base(of name: String) -> String {
    name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? name
  }

  var settings: Settings { get throws { try Settings(method.parameters, call.parameters, of: name) } }
  /// Whether the numbers depend on what is kept beside the model: not where the caller feeds it.
  var readsStatistics: Bool {
    method.readsStatistics && !["mean", "std"].allSatisfy { call.draws[$0] != nil }
  }
}

/// A metric, likewise.
public struct MetricUse: Sendable {
  public let name: String
  public let metric: any Metric
  public let call: Call

  public init(_ name: String, _ call: Call) throws {
    self.name = name
    metric = try Metrics.named(MethodUse.base(of: name))
    self.call = call
    let owner = "the metric \(quoted(metric.name))"
    better = try metric.better(by: metric.settings(of: call.parameters))
    try call.refuse(layers: true, seed: !metric.drawsNumbers, draws: metric.draws, for: owner)
    guard reads("words") else { return }
    foldsWords = try settings.word("compat") == "lavise"
    if let name = ["words", "labels", "mask", "weight"].first(where: { call.draws[$0] != nil }) {
      throw Failure(
        .invalidArgument,
        "the draws \(quoted(name)) of \(owner) are those of each image of the data set; leave them out")
    }
  }

  /// Whether it judges words for what is in an image.
  public static func judgesWords(_ name: String) -> Bool {
    (try? Metrics.named(MethodUse.base(of: name)))?.draws.contains { $0.name == "words" } ?? false
  }

  /// Whether metrics of these names need a model with scores of classes: all do that do not judge words, and so does
  /// judging by none.
  public static func needScores(_ names: [String]) -> Bool { names.isEmpty || !names.allSatisfy(judgesWords) }

  public let better: Direction
  /// Whether a value takes the words of all images before it.
  public private(set) var foldsWords = false
  /// Whether it is of the classifier, and not of explanations.
  var isOfScores: Bool { metric.reads == .scores }
  var settings: Settings { get throws { try Settings(metric.parameters, call.parameters, of: name) } }
  func reads(_ draw: String) -> Bool { metric.draws.contains { $0.name == draw } }
}

/// Which class of an image is explained.
public enum Target: Sendable {
  case predicted
  /// What is true of the image.
  case truth
  /// The least probable class.
  case least
  case index(Int)
  /// For each true class the one that is explained, as SCOUTER's least similar classes.
  case table([Int])

  /// A word, or a class's number or label. Throws `notFound` for others.
  public init(_ text: String, for model: Model, output: String?) throws {
    switch text {
    case "predicted": self = .predicted
    case "truth": self = .truth
    case "least": self = .least
    default:
      let count = try output.map(model.requiredScores)?.classCount ?? model.classCount
      let index = try Int(text) ?? model.classIndex(labelled: text)
      guard let index, index >= 0, index < count ?? Int.max else {
        throw Failure(
          .notFound,
          "the class to explain is \(quoted(text)); it must be predicted, truth, least, or a class of the model, "
            + "by its number or label")
      }
      self = .index(index)
    }
  }

  /// Whether it takes to know what is true of an image.
  var needsTruth: Bool {
    switch self {
    case .truth, .table: true
    default: false
    }
  }

  var json: JSON {
    switch self {
    case .predicted: "predicted"
    case .truth: "truth"
    case .least: "least"
    case .index(let index): .integer(index)
    case .table(let table): .list(table.map { .integer($0) })
    }
  }
}

extension DataSet {
  /// What is explained where the caller does not say: the predicted class; where images are there for the objects of a
  /// class, that one.
  public var usualTarget: Target { isOfObjects ? .truth : .predicted }
}

/// What is done with every image: methods, metrics, classes. All that decides a record beside the model and the sample.
public struct Plan: Sendable {
  public let methods: [MethodUse]
  public let metrics: [MetricUse]
  public let target: Target
  /// For runs of the model: the output, further inputs, threads, batch size.
  public let call: Call
  /// Of image files.
  public let reading: Reading

  public init(
    methods: [MethodUse], metrics: [MetricUse], target: Target, _ call: Call, reading: Reading
  ) throws {
    for (what, names) in [("method", methods.map(\.name)), ("metric", metrics.map(\.name))] {
      if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
        throw Failure(
          .invalidArgument,
          "the \(what) \(quoted(twice)) is given twice; call one of them \(quoted(twice + "@2")), or what "
            + "you like behind the @")
      }
    }
    guard !methods.isEmpty || metrics.allSatisfy(\.isOfScores) else {
      throw Failure(.invalidArgument, "there are metrics of explanations, but no methods")
    }
    for metric in metrics where metric.reads("words") {
      let wanted = try metric.settings.integer("k")
      for use in methods {
        guard use.method.findsWords else {
          throw Failure(
            .invalidArgument,
            "the metric \(quoted(metric.name)) judges words for what a filter sees, which the method "
              + "\(quoted(use.name)) does not find; judge it in another run")
        }
        guard try !metric.foldsWords || use.settings.integer("filter") >= 0 else {
          throw Failure(
            .invalidArgument,
            "the metric \(quoted(metric.name)) with compat lavise judges the name of one filter, which grows from image "
              + "to image: say which by the parameter filter of \(quoted(use.name))")
        }
        let found = try use.settings.integer("words")
        guard found >= wanted || metric.foldsWords else {
          throw Failure(
            .invalidArgument,
            "the metric \(quoted(metric.name)) counts \(wanted) words, but the method \(quoted(use.name)) finds "
              + "\(found): set its parameter words, or the metric's k")
        }
      }
    }
    self.methods = methods
    self.metrics = metrics
    self.target = target
    self.call = call
    self.reading = reading
  }

  /// For doors at which a class is given, but no method.
  public static let explainsNothing = Failure(
    .invalidArgument, "there are no methods, so that no class is explained; leave out which, or name a method")

  /// Those that judge explanations.
  var explanationMetrics: [MetricUse] { metrics.filter { !$0.isOfScores } }
  /// Those that judge the classifier.
  var scoreMetrics: [MetricUse] { metrics.filter(\.isOfScores) }

  /// Whether the model must have scores of classes: not for words alone.
  public var needsScores: Bool { MetricUse.needScores(metrics.map(\.name)) }

  /// nil where no method reads them, and where there are none.
  func digestOfStatistics(_ model: Model) throws -> String? {
    methods.contains(where: \.readsStatistics) ? try model.digestOfStoredStatistics() : nil
  }

  /// As results and stores have it: whatever decides the numbers is in it.
  public func json(_ model: Model) throws -> JSON {
    let methods = try methods.map { use in
      let statistics: [(String, JSON)] =
        use.readsStatistics
        ? [("statistics_sha256", .optional(try model.digestOfStoredStatistics()))] : []
      return JSON.object(
        [
          ("name", .text(use.name)), ("method", .text(use.method.name)),
          ("parameters", JSON(try use.settings.values)), ("layers", .texts(use.call.layers)),
          ("seed", use.method.drawsNumbers ? .integer(use.call.seed ?? 0) : .null), ("draws", JSON(use.call.draws)),
        ] + statistics)
    }
    let metrics = try metrics.map { use in
      JSON.object([
        ("name", .text(use.name)), ("metric", .text(use.metric.name)), ("parameters", JSON(try use.settings.values)),
        ("seed", use.metric.drawsNumbers ? .integer(use.call.seed ?? 0) : .null), ("draws", JSON(use.call.draws)),
      ])
    }
    // What was asked for: of float32 there is no word, as in evaluations from before.
    let kernels = model.kernels
    let precision: [(String, JSON)] =
      kernels.precision == .float32
      ? []
      : [
        ("precision", .text(kernels.precision.rawValue)),
        ("computed_precision", .text(kernels.computedPrecision.rawValue)),
      ]
    return .object([
      ("limpid", .text(libraryVersion)),
      (
        "model",
        .object(
          [
            ("name", .text(model.fileGraph.name)), ("family", .text(model.metadata.family)),
            ("sha256", .text(model.digest)),
            ("preprocessing", .optional(model.metadata.preprocessing.map { "\($0)" })),
            ("output", .optional(call.output)), ("feeds", JSON(call.feeds)),
          ] + precision + (reading == model.reading ? [] : [("samples_of_16_bits", .text("\(reading.deep)"))]))
      ),
      ("class", target.json), ("methods", .list(methods)), ("metrics", .list(metrics)),
    ])
  }
}

extension JSON {
  public init(_ value: ParameterValue) {
    switch value {
    case .number(let number): self = .number(number)
    case .text(let word): self = .text(word)
    }
  }

  init(_ values: [(name: String, value: ParameterValue)]) { self = .object(values.map { ($0.name, JSON($0.value)) }) }

  /// Arrays by what they hold.
  init(_ tensors: [String: Tensor]) {
    self = .object(
      tensors.sorted { $0.key < $1.key }.map { name, tensor in
        var digest = Digest()
        digest.update(tensor.bytes)
        return (name, .text("\(tensor.type) \(tensor.shape) sha256 \(digest.text)"))
      })
  }
}
