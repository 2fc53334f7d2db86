import Documents
import Evaluation
import Explainers
import Glibc
import Metrics
import Models
import Parallel
import Tensors

struct Evaluate: Command {
  static let usage = Usage(
    name: "evaluate", operands: "MODEL", operandCount: 1...1,
    summary: "Explain and measure over a data set: means with intervals, comparisons of methods, a report.",
    options: [
      Option("data", "PATH", "the data set: a folder, or a list of images"),
      Option("format", "NAME", DataSet.formatSummaries.map { "\($0.name) (\($0.summary))" }.joined(separator: ", ")),
      Option("images", "FOLDER", "where the images of a list, or of annotations, lie (default: beside it)"),
      Option("classes", "FILE", "the classes' names in their order, one a line, as folders or annotations call them"),
      Option(
        "split", "PART", "test, train or all, of data sets that have such (default: test of mnist and cub, else all)"),
      Option("first-classes", "N", "only images of the first N classes"),
      Option("limit", "N", "only the first N images"),
      Option("sample", "N", "only N images, drawn by --seed"),
      Option("method", "NAME", "explanation methods: a,b; NAME@LABEL uses one more than once"),
      Option("metric", "NAME", "metrics: x,y; likewise (default with methods: insertion,deletion)"),
      Option(
        "class", "CLASS",
        "to explain: predicted (default), truth (default of coco, voc), least (probable), a number or a label"),
      Option("class-table", "FILE", "to explain: line i names the class for images of class i, by number"),
    ] + GivenSettings.options + GivenSettings.metricOptions + [
      CallOptions.preprocess, CallOptions.output, CallOptions.feed,
      CallOptions.highByte, CallOptions.bits, CallOptions.refuseLinks, CallOptions.precision,
      Option("report", "FOLDER", "where results are written; a run that was stopped goes on from there"),
      Option(
        "store", "FILE", "what is kept of each image (default: store.sqlite in the report's folder; none: nothing)"),
      Option("resamples", "N", "of the bootstrap (default 1000)"),
      Option("confidence", "X", "what intervals cover (default 0.95)"),
      Option(
        "workers", "N",
        "images that are evaluated at once, each on one thread unless --threads says otherwise (default 1)"),
      .json, .threads,
    ])

  private let model: String
  private let data: String
  private let dataOptions: DataSet.Options
  private let methods: [String]
  private let metrics: [String]
  /// nil: as suits the data set.
  private let target: String?
  private let table: String?
  private let given: GivenSettings
  private let givenOfMetrics: GivenSettings
  private let options: CallOptions
  private let summary: Summary.Options
  private let report: String?
  /// nil: none.
  private let store: String?
  private let commandLine: String
  private let threads: Int?
  private let workers: Int
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    guard let data = arguments.text("data") else {
      throw Failure(.invalidArgument, "--data is missing: evaluate on what?")
    }
    self.data = data
    var dataOptions = DataSet.Options()
    dataOptions.format = arguments.text("format")
    dataOptions.images = arguments.text("images")
    dataOptions.classFile = arguments.text("classes")
    dataOptions.split = arguments.text("split")
    dataOptions.firstClasses = try arguments.integer("first-classes", in: 1...10_000_000) ?? 0
    dataOptions.limit = try arguments.integer("limit", in: 1...Int.max) ?? 0
    dataOptions.draw = try arguments.integer("sample", in: 1...Int.max) ?? 0
    given = try GivenSettings(arguments)
    dataOptions.seed = given.seed ?? 0
    func names(_ option: String) -> [String] {
      arguments.all(option).flatMap { $0.split(separator: ",").map(String.init) }
    }
    methods = names("method")
    let metrics = names("metric")
    self.metrics = metrics.isEmpty && !methods.isEmpty ? ["insertion", "deletion"] : metrics
    dataOptions.ofThings = self.metrics.contains(where: MetricUse.judgesWords)
    self.dataOptions = dataOptions
    for name in self.metrics { _ = try Metrics.named(MethodUse.base(of: name)) }
    givenOfMetrics = try GivenSettings(arguments, ofMetrics: true)
    target = arguments.text("class")
    table = arguments.text("class-table")
    guard table == nil || arguments.text("class") == nil else {
      throw Failure(.invalidArgument, "--class and --class-table exclude each other")
    }
    guard !methods.isEmpty || target == nil && table == nil else { throw Plan.explainsNothing }
    options = try CallOptions(arguments)
    var summary = Summary.Options()
    summary.resamples = try arguments.integer("resamples", in: 0...1_000_000) ?? summary.resamples
    summary.confidence = try arguments.number("confidence", in: 0.001...0.999) ?? summary.confidence
    guard summary.resamples > 0 || arguments.text("confidence") == nil else {
      throw Failure(.invalidArgument, "--resamples 0 gives no intervals; leave --confidence out")
    }
    summary.seed = given.seed ?? 0
    self.summary = summary
    report = arguments.text("report")
    let store = arguments.text("store") ?? report.map { joined($0, "store.sqlite") }
    self.store = store == "none" ? nil : store
    commandLine = arguments.commandLine
    workers = try arguments.integer("workers", in: 1...1024) ?? 1
    threads = try arguments.threads() ?? (workers > 1 ? 1 : nil)
    isJSON = arguments.flag("json")
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options)
    let call = try options.call()
    let classes = try ModelClasses(model, output: call.output, isNeeded: MetricUse.needScores(metrics))
    let data = try DataSet(data, dataOptions, classes: classes)
    let plan = try plan(model, call, data)
    Console.error(
      "limpid: \(data.samples.count) images, format \(data.format); classes \(data.classes)\n")
    let evaluation = try Evaluation(model, plan, data)
    evaluation.warn = { Console.error("limpid: warning: \($0)\n") }
    // Before there is work to lose.
    if let report { try makeFolder(report) }
    if let store {
      try evaluation.open(store: store)
      let known = data.samples.count - evaluation.pending.count
      if known > 0 { Console.error("limpid: \(known) of them are done already (\(store.printable))\n") }
    }
    let outcome = Result { try Self.run(evaluation, workers) }
    let summary = try evaluation.summary(summary)
    if let report {
      let line = ProgressLine()
      defer { line.clear() }
      let source = Evaluation.Source(file: self.model, command: commandLine)
      try evaluation.write(to: report, summary, source, line.progress("of the report"))
    }
    try Console.write(isJSON ? evaluation.document(summary).document : Self.table(summary))
    try outcome.get()
    if summary.evaluatedCount == 0 { throw Failure(.io, "no image could be evaluated") }
  }

  private func plan(_ model: Model, _ call: Call, _ data: DataSet) throws -> Plan {
    let explainers = try methods.map { (name: $0, what: try model.explainer(named: MethodUse.base(of: $0))) }
    let measures = try metrics.map { (name: $0, what: try Metrics.named(MethodUse.base(of: $0))) }
    let methodUses = try explainers.indices.map { i in
      var own = try given.call(for: i, of: explainers.map { ($0.name, $0.what) })
      (own.output, own.feeds) = (call.output, call.feeds)
      return try MethodUse(explainers[i].name, own, for: model)
    }
    let metricUses = try measures.indices.map { i in
      var own = try givenOfMetrics.call(for: i, of: measures.map { ($0.name, $0.what) })
      (own.output, own.feeds) = (call.output, call.feeds)
      return try MetricUse(measures[i].name, own)
    }
    let target =
      try table.map { .table(try Self.classTable($0)) }
      ?? target.map { try Target($0, for: model, output: call.output) } ?? data.usualTarget
    return try Plan(
      methods: methodUses, metrics: metricUses, target: target, call, reading: options.reading(for: model))
  }

  private static func classTable(_ path: String) throws -> [Int] {
    try TextFile.lines(path).enumerated().map { i, line in
      guard let index = Int(line.trimmed), index >= 0 else {
        throw Failure(.invalidArgument, "\(quoted(path)), line \(i + 1): \(quoted(line)) is no class number")
      }
      return index
    }
  }

  private static func run(_ evaluation: Evaluation, _ workers: Int) throws {
    let line = ProgressLine()
    defer { line.clear() }
    let start = now()
    var title = "of the images"
    try evaluation.run(workers: workers, line.progress { title }) { done, count, record in
      if let reason = record.failure {
        line.clear()
        let name = record.name.printable
        Console.error("limpid: \(reason.contains(name) ? reason : "\(quoted(record.name)): \(reason)")\n")
      }
      let left = (now() - start) / Double(done) * Double(count - done)
      title = "\(done) of \(count) images, \(duration(left)) left"
    }
  }

  /// A number of seconds for people.
  private static func duration(_ seconds: Double) -> String {
    let whole = Int(min(seconds.rounded(.up), 1e9))
    if whole < 120 { return "\(whole) s" }
    return whole < 7200 ? "\((whole + 30) / 60) min" : "\((whole + 1800) / 3600) h"
  }

  private static func table(_ summary: Summary) -> String {
    var table = Table(["method", "metric", "mean", "interval", "images", "best"])
    for (top, estimate) in summary.accuracy {
      table.add("-", "accuracy, top \(top)", cell(estimate), range(estimate), "\(estimate.count)")
    }
    for result in summary.results {
      table.add(
        result.method ?? "-", result.metric, cell(result.estimate), range(result.estimate), "\(result.estimate.count)",
        result.isBest ? "best" : "")
    }
    var text = table.text
    if summary.failures.count > 0 { text += "\(summary.failures.count) of \(summary.sampleCount) images failed\n" }
    if !summary.isComplete {
      text += "\(summary.evaluatedCount + summary.failures.count) of \(summary.sampleCount) images are done\n"
    }
    return text
  }

  private static func cell(_ estimate: Summary.Estimate) -> String { fixed(estimate.mean, 6) }

  private static func range(_ estimate: Summary.Estimate) -> String {
    estimate.interval.map { "\(fixed($0.lowerBound, 6)) to \(fixed($0.upperBound, 6))" } ?? ""
  }
}
