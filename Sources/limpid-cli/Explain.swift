import Documents
import Evaluation
import Explainers
import Explanations
import Images
import Models
import Parallel
import Tensors

struct Explain: Command {
  static let usage = Usage(
    name: "explain", operands: "MODEL IMAGE…", operandCount: 2...Int.max,
    summary: "Show why images are, or are not, of a class: maps over the images, as PNG files.",
    options: [
      Option("method", "NAME", "explanation method (default: the model's own, else grad-cam); several: a,b"),
      Option("class", "CLASS", "predicted (default), least (probable), all, a number or a label; several: a,b"),
    ] + GivenSettings.options + [
      CallOptions.preprocess, CallOptions.output, CallOptions.feed,
      CallOptions.highByte, CallOptions.bits, CallOptions.refuseLinks, CallOptions.precision,
      Option("output", "PATH", "a folder, or one .png file (default: the current folder; with --report none)"),
      Option("map", "PATH", "the numbers too: a folder, or one .npy file"),
      Option("report", "FILE.html", "one page with images, maps, classes and settings"),
    ] + Overlay.options + [.json, .threads])

  private let model: String
  private let images: [String]
  private let methods: [String]
  private let choices: [String]
  private let given: GivenSettings
  private let options: CallOptions
  private let overlay: Overlay
  private let overlays: Destination?
  private let maps: Destination?
  private let report: String?
  private let commandLine: String
  private let threads: Int?
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    images = Array(arguments.operands.dropFirst())
    methods = arguments.all("method")
    let given = arguments.all("class")
    choices = given.isEmpty ? ["predicted"] : given
    overlay = try Overlay(arguments)
    report = try arguments.text("report").map(Self.pageName)
    commandLine = arguments.commandLine
    overlays =
      report != nil && arguments.text("output") == nil
      ? nil : try locating("--output") { try Destination(arguments.text("output"), suffix: ".png") }
    if overlays == nil, let name = ["size", "scale"].first(where: { arguments.text($0) != nil }) {
      throw Failure(
        .invalidArgument,
        "--\(name) is of overlays, which --report alone does not write; add --output, or leave it out")
    }
    maps = try arguments.text("map").map { path in
      try locating("--map") { try Destination(path, suffix: ".npy") }
    }
    self.given = try GivenSettings(arguments)
    options = try CallOptions(arguments)
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
  }

  private static func pageName(_ path: String) throws -> String {
    guard path.hasSuffix(".html"), !isFolder(path) else {
      throw Failure(.invalidArgument, "--report is \(quoted(path)); it must be a file whose name ends in .html")
    }
    return path
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options)
    let call = try options.call()
    let choices = try choices.flatMap { try ClassChoice.parse($0, for: model, call.output) }
    // Before files are made and images are read.
    let uses = try given.uses(of: methods, model, call)
    let images = try imageFiles(images)
    try checkFiles(choices.count == 1 ? choices.first : nil, images.count * uses.count)
    try overlays?.prepare()
    try maps?.prepare()
    try report.map(prepareFile)
    var output = Output(overlays: overlays, maps: maps, model: model, overlay: overlay)
    var page = ExplanationPage(model, file: self.model, uses, output: call.output, overlay.rendering)
    let outcome = Result {
      try forEachImage(images, options.reading(for: model)) { i, path, image, progress in
        let parts = progress.parts([1] + uses.map { _ in 4 })
        let call = try call.forImage(i, of: images.count)
        var known: [Float]?
        func probabilities() throws -> [Float] {
          let found = try known ?? model.probabilities(image, call, parts[0])
          known = found
          return found
        }
        let classes = try choices.flatMap { try $0.classes(model, call.output, probabilities) }
        var explanations: [Explanation] = []
        for (use, part) in zip(uses, parts.dropFirst()) {
          explanations += try explain(image, use, classes, model, use.call.forImage(i, of: images.count), part)
        }
        for explanation in explanations { try output.write(explanation, of: image, path) }
        if report != nil { try page.add(path, image, explanations, parts[0].polling, scores: probabilities) }
      } unread: { path, failure in
        page.addUnread(path, failure)
      }
    }
    if let report, !page.isEmpty {
      try writeFile(report, Array(page.html(commandLine).withoutEscapes.utf8))
    }
    try Console.write(isJSON ? document(uses, output.results).document : output.table.text)
    try outcome.get()
  }

  /// One file cannot take several explanations. `choice` is what is explained, where that is one.
  private func checkFiles(_ choice: ClassChoice?, _ count: Int) throws {
    var isOne = count == 1 && choice != nil
    if case .all? = choice { isOne = false }
    for (name, destination) in [("--output", overlays), ("--map", maps)] where destination?.isFile == true && !isOne {
      throw Failure(.invalidArgument, "\(name) names one file, but there are several explanations; give a folder")
    }
  }

  /// The explanations of one image by one method, each class once.
  private func explain(
    _ image: Image, _ use: MethodUse, _ classes: [Int?], _ model: Model, _ call: Call, _ progress: Progress
  ) throws -> [Explanation] {
    var explanations = try image.withView {
      try model.explain([.pixels($0)], classes: [classes], method: use.method, call, progress)
    }
    for i in explanations.indices { explanations[i].method = use.name }
    var seen = Set<Int>()
    return explanations.filter { seen.insert($0.classIndex).inserted }
  }

  /// Of several methods "methods" lists what of one stands in the document itself.
  private func document(_ uses: [MethodUse], _ results: [JSON]) -> JSON {
    let settings = uses.map { use -> [(String, JSON)] in
      let parameters = use.method.parameters.map { parameter in
        (parameter.name, JSON(use.call.parameters[parameter.name] ?? parameter.defaultValue))
      }
      // "rise.grid" is "grid" of the use "rise".
      let draws = given.draws.compactMap { name, path -> (String, JSON)? in
        let own = name.hasPrefix(use.name + ".") ? String(name.dropFirst(use.name.count + 1)) : name
        return use.call.draws[own] == nil ? nil : (own, .text(path))
      }
      return [
        ("method", .text(use.name)), ("parameters", .object(parameters)), ("layers", .texts(use.call.layers)),
        ("draws", .object(draws)),
        ("seed", use.method.drawsNumbers ? .integer(use.call.seed ?? 0) : .null),
      ]
    }
    let described = settings.count == 1 ? settings[0] : [("methods", .list(settings.map { .object($0) }))]
    return .object([("model", .text(model))] + described + [("explanations", .list(results))])
  }
}

/// Writes explanations to files and takes down what was written.
private struct Output {
  /// nil: the maps are not drawn, but the table tells of them.
  var overlays: Destination?
  var maps: Destination?
  let model: Model
  let overlay: Overlay
  var table: Table
  var results: [JSON] = []

  init(overlays: Destination?, maps: Destination?, model: Model, overlay: Overlay) {
    self.overlays = overlays
    self.maps = maps
    self.model = model
    self.overlay = overlay
    table = Table((overlays == nil ? ["image", "method"] : ["overlay"]) + ["class", "label", "score", "note"])
  }

  mutating func write(_ explanation: Explanation, of image: Image, _ path: String) throws {
    let what = explanation.reading.map { "filter-\($0.filter)" } ?? className(explanation.classIndex)
    let name = "\(stem(of: path))-\(explanation.method)-\(what)"
    let file = overlays?.path(for: name)
    if let file { try writeFile(file, overlay.draw(explanation, on: image).encodePNG(.unwatched)) }
    let grid = explanation.grid
    let map = maps?.path(for: name)
    if let map { try writeFile(map, Tensor(grid.values, [grid.height, grid.width]).npy()) }
    let label = model.label(of: explanation.classIndex)
    let start = file.map { [$0.printable] } ?? [path.printable, explanation.method]
    let index = explanation.classIndex < 0 ? "-" : "\(explanation.classIndex)"
    table.add(
      start + [index, label?.printable ?? "-", fixed(Double(explanation.score), 4), explanation.note.printable])
    let region = explanation.field.region
    results.append(
      .object([
        ("file", .text(path)), ("method", .text(explanation.method)), ("class", .integer(explanation.classIndex)),
        ("label", .optional(label)), ("score", .number(explanation.score)),
        ("degenerate", .bool(explanation.isDegenerate)),
        ("overlay", .optional(file)), ("map", .optional(map)), ("filter", Self.filter(explanation.reading)),
        ("grid", .object([("width", .integer(grid.width)), ("height", .integer(grid.height))])),
        (
          "range",
          .object([
            ("minimum", .number(explanation.range.lowerBound)), ("maximum", .number(explanation.range.upperBound)),
          ])
        ),
        (
          "region",
          .object([
            ("x", .number(region.x)), ("y", .number(region.y)), ("width", .number(region.width)),
            ("height", .number(region.height)),
          ])
        ),
      ]))
  }

  private static func filter(_ reading: FilterReading?) -> JSON {
    guard let reading else { return .null }
    let words = reading.words.map { word in
      JSON.object([("word", .text(word.text)), ("similarity", .number(word.similarity))])
    }
    return .object([
      ("index", .integer(reading.filter)), ("activation", .number(reading.activation)), ("words", .list(words)),
    ])
  }

  /// The class as a part of a file name: its label, and its index where labels are missing or not unique.
  private func className(_ index: Int) -> String {
    guard let label = model.label(of: index), !label.isEmpty else { return "\(index)" }
    let name = slug(label)
    return model.metadata.labels.count { slug($0) == name } > 1 ? "\(name)-\(index)" : name
  }
}
