import Documents
import Evaluation
import Explainers
import Explanations
import Images
import Metrics
import Models
import Parallel
import Tensors

struct Measure: Command {
  static let usage = Usage(
    name: "measure", operands: "MODEL IMAGE…", operandCount: 2...Int.max,
    summary: "Explain images, and measure how good the explanations are.",
    options: [
      Option("metric", "NAME", "what to measure; several: a,b (default: insertion,deletion); see limpid metrics"),
      Option("method", "NAME", "explanation method (default: the model's own); see limpid methods"),
      Option("class", "CLASS", "predicted (default), least (probable), a number or a label; several: a,b"),
    ] + GivenSettings.options + GivenSettings.metricOptions + [
      CallOptions.preprocess, CallOptions.output, CallOptions.feed,
      CallOptions.highByte, CallOptions.bits, CallOptions.refuseLinks, CallOptions.precision, .json, .threads,
    ])

  private let model: String
  private let images: [String]
  private let metrics: [any Metric]
  private let method: String?
  private let choices: [String]
  private let given: GivenSettings
  private let givenOfMetrics: GivenSettings
  private let options: CallOptions
  private let threads: Int?
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    images = Array(arguments.operands.dropFirst())
    let names = arguments.all("metric").flatMap { $0.split(separator: ",").map(String.init) }
    metrics = try (names.isEmpty ? ["insertion", "deletion"] : names).map { try Metrics.named($0) }
    method = arguments.text("method")
    let given = arguments.all("class")
    choices = given.isEmpty ? ["predicted"] : given
    self.given = try GivenSettings(arguments)
    givenOfMetrics = try GivenSettings(arguments, ofMetrics: true)
    options = try CallOptions(arguments)
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options)
    var call = try options.call(given.call())
    let choices = try choices.flatMap { try ClassChoice.parse($0, for: model, call.output) }
    let explainer = try model.explainer(named: method)
    let images = try imageFiles(images)
    if let seed = call.seed, !explainer.drawsNumbers, !metrics.contains(where: \.drawsNumbers) {
      throw Failure(
        .invalidArgument,
        "neither the method nor a metric draws random numbers, but the seed \(seed) was given; leave it out")
    }
    if !explainer.drawsNumbers { call.seed = nil }
    // Before images are read.
    _ = try ExplanationRequest(model, [], [], call, .unwatched, explainer)
    let uses = metrics.map { (name: $0.name, what: $0 as any Configurable) }
    var columns = try metrics.indices.map { i in
      var own = try givenOfMetrics.call(for: i, of: uses)
      (own.output, own.feeds) = (call.output, call.feeds)
      // The predicted class is right by what it is.
      let isTrue = choices.allSatisfy { if case .index = $0 { true } else { false } }
      guard metrics[i].reads != .scores || own.draws["labels"] != nil || isTrue else {
        throw Failure(
          .invalidArgument,
          "the metric \(quoted(metrics[i].name)) compares the model with what is true: give that as --class, a number or "
            + "a label, or for each image as --metric-draw labels=FILE.npy")
      }
      return Column(metrics[i], own, MethodCall(method: explainer.name, call: call))
    }
    let outcome = Result {
      try forEachImage(images, options.reading(for: model)) { index, path, image, progress in
        let call = try call.forImage(index, of: images.count)
        let parts = progress.parts([1] + metrics.map { _ in 4 })
        let classes = try choices.flatMap { choice in
          try choice.classes(model, call.output) { try model.probabilities(image, call, parts[0].polling) }
        }
        try image.withView { view in
          let found = try model.explain([.pixels(view)], classes: [classes], method: explainer, call, parts[0])
          let file = (path, index, images.count)
          for i in columns.indices { try columns[i].measure(found, view, file, model, parts[i + 1]) }
        }
      }
    }
    try Console.write(isJSON ? document(explainer, call, columns).document : Self.table(columns))
    try outcome.get()
  }

  private static func table(_ columns: [Column]) throws -> String {
    var table = Table(["metric", "mean", "image", "class", "value"])
    for column in columns {
      table.add(column.metric.name, fixed(try column.mean(), 6), "(\(column.rows.count))", "", "")
      for row in column.rows { table.add("", "", row.path.printable, "\(row.classIndex)", fixed(row.value, 6)) }
    }
    return table.text
  }

  private func document(_ explainer: any Explainer, _ call: Call, _ columns: [Column]) throws -> JSON {
    .object([
      ("model", .text(model)), ("method", .text(explainer.name)),
      (
        "parameters",
        .object(explainer.parameters.map { ($0.name, JSON(call.parameters[$0.name] ?? $0.defaultValue)) })
      ),
      ("layers", .texts(call.layers)), ("seed", .integer(given.seed ?? 0)),
      ("metrics", .list(try columns.map { try $0.json() })),
    ])
  }
}

/// One metric over all images.
private struct Column {
  let metric: any Metric
  private(set) var rows: [(path: String, classIndex: Int, value: Double, curve: [Double])] = []
  private let call: Call
  private let method: MethodCall?
  private var parameters: [(name: String, value: ParameterValue)] = []

  init(_ metric: any Metric, _ call: Call, _ method: MethodCall) {
    self.metric = metric
    self.call = call
    self.method = metric.needsMethod ? method : nil
  }

  /// As the metric averages.
  func mean() throws -> Double {
    let settings = try Settings(metric.parameters, call.parameters, of: "the metric \(quoted(metric.name))")
    return try metric.mean(
      of: rows.map(\.value), classes: rows.map { $0.classIndex < 0 ? nil : $0.classIndex }, settings,
      batchSize: call.batchSize)
  }

  mutating func measure(
    _ explanations: [Explanation], _ view: PixelView, _ file: (path: String, index: Int, count: Int), _ model: Model,
    _ progress: Progress
  ) throws {
    var call = try call.forImage(file.index, of: file.count)
    let method = try method.map {
      MethodCall(method: $0.method, call: try $0.call.forImage(file.index, of: file.count))
    }
    for (name, tensor) in call.draws { call.draws[name] = try Self.part(of: tensor, name, file.index, file.count) }
    let found = try model.measure(metric, [.pixels(view)], explanations, method: method, call, progress)
    let points = found.curve?.array(of: Double.self) ?? []
    let length = points.count / max(1, found.values.count)
    let new = zip(explanations, found.values).enumerated().map { i, pair in
      (file.path, pair.0.classIndex, pair.1, Array(points[i * length..<(i + 1) * length]))
    }
    rows += new
    parameters = found.parameters
  }

  /// The rows that image `index` of `count` has of an array for all images, equally many for each.
  private static func part(of tensor: Tensor, _ name: String, _ index: Int, _ count: Int) throws -> Tensor {
    guard count > 1, let rows = tensor.shape.dimensions.first else { return tensor }
    guard rows >= count, rows % count == 0 else {
      throw Failure(
        .invalidArgument,
        "--metric-draw \(quoted(name)) is \(tensor.shape), "
          + (rows < count ? "too few for the images" : "not equally many for each of the \(count) images"))
    }
    let shape = Shape(trusted: [rows / count] + tensor.shape.dimensions.dropFirst())
    return try Tensor(
      tensor.type, shape, storage: tensor.storage,
      byteOffset: tensor.byteOffset + index * shape.count * tensor.type.byteCount)
  }

  func json() throws -> JSON {
    let rows = rows.map { row in
      JSON.object([
        ("file", .text(row.path)), ("class", .integer(row.classIndex)), ("value", .number(row.value)),
        ("curve", row.curve.isEmpty ? .null : .list(row.curve.map { .number($0) })),
      ])
    }
    return .object([
      ("metric", .text(metric.name)), ("mean", .number(try mean())),
      ("parameters", .object(parameters.map { ($0.name, JSON($0.value)) })), ("values", .list(rows)),
    ])
  }
}
