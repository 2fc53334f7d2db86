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
      Option("method", "NAME", "explanation method (default: the model's own, else grad-cam); see limpid methods"),
      Option("class", "CLASS", "predicted (default), least (probable), all, a number or a label; several: a,b"),
    ] + GivenSettings.options + [
      CallOptions.preprocess, CallOptions.output, CallOptions.feed,
      Option("output", "PATH", "a folder, or one .png file (default: the current folder)"),
      Option("map", "PATH", "the numbers too: a folder, or one .npy file"),
    ] + Overlay.options + [.json, .threads])

  private let model: String
  private let images: [String]
  private let method: String?
  private let choices: [String]
  private let given: GivenSettings
  private let options: CallOptions
  private let overlay: Overlay
  private let overlays: Destination
  private let maps: Destination?
  private let threads: Int?
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    images = Array(arguments.operands.dropFirst())
    method = arguments.text("method")
    let given = arguments.all("class")
    choices = given.isEmpty ? ["predicted"] : given
    overlay = try Overlay(arguments)
    overlays = try locating("--output") { try Destination(arguments.text("output"), suffix: ".png") }
    maps = try arguments.text("map").map { path in
      try locating("--map") { try Destination(path, suffix: ".npy") }
    }
    self.given = try GivenSettings(arguments)
    options = try CallOptions(arguments)
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options.preprocessing)
    let call = try options.call(given.call())
    let choices = try choices.flatMap { try ClassChoice.parse($0, for: model, call.output) }
    let method = try model.explainer(named: method)
    let images = try imageFiles(images)
    // Before files are made and images are read.
    _ = try ExplanationRequest(model, [], [], call, .unwatched, method)
    try checkFiles(choices, images.count)
    try overlays.prepare()
    try maps?.prepare()
    var output = Output(overlays: overlays, maps: maps, model: model, method: method.name, overlay: overlay)
    let outcome = Result {
      try forEachImage(images) { i, path, image, progress in
        let call = try call.forImage(i, of: images.count)
        for explanation in try explain(image, method, choices, model, call, progress) {
          try output.write(explanation, of: image, path)
        }
      }
    }
    try Console.write(isJSON ? document(method, call, output.results).document : output.table.text)
    try outcome.get()
  }

  /// One file cannot take several explanations.
  private func checkFiles(_ choices: [ClassChoice], _ imageCount: Int) throws {
    var isOne = imageCount == 1 && choices.count == 1
    if case .all? = choices.first { isOne = false }
    for (name, destination) in [("--output", overlays), ("--map", maps)] where destination?.isFile == true && !isOne {
      throw Failure(.invalidArgument, "\(name) names one file, but there are several explanations; give a folder")
    }
  }

  /// The explanations of one image, each class once.
  private func explain(
    _ image: Image, _ method: any Explainer, _ choices: [ClassChoice], _ model: Model, _ call: Call,
    _ progress: Progress
  ) throws -> [Explanation] {
    let parts = progress.parts(1, 4)
    var known: [Float]?
    let classes = try choices.flatMap { choice in
      try choice.classes(model, call.output) {
        if known == nil { known = try model.probabilities(image, call, parts[0]) }
        return known ?? []
      }
    }
    let explanations = try image.withView {
      try model.explain([.pixels($0)], classes: [classes], method: method, call, parts[1])
    }
    var seen = Set<Int>()
    return explanations.filter { seen.insert($0.classIndex).inserted }
  }

  private func document(_ method: any Explainer, _ call: Call, _ results: [JSON]) -> JSON {
    let parameters = method.parameters.map { parameter in
      (parameter.name, JSON(call.parameters[parameter.name] ?? parameter.defaultValue))
    }
    return .object([
      ("model", .text(model)), ("method", .text(method.name)), ("parameters", .object(parameters)),
      ("layers", .texts(call.layers)), ("draws", .object(given.draws.map { ($0.name, .text($0.value)) })),
      ("seed", method.drawsNumbers ? .integer(call.seed ?? 0) : .null), ("explanations", .list(results)),
    ])
  }
}

/// Writes explanations to files and takes down what was written.
private struct Output {
  var overlays: Destination
  var maps: Destination?
  let model: Model
  let method: String
  let overlay: Overlay
  var table = Table(["overlay", "class", "label", "score", "note"])
  var results: [JSON] = []

  init(overlays: Destination, maps: Destination?, model: Model, method: String, overlay: Overlay) {
    self.overlays = overlays
    self.maps = maps
    self.model = model
    self.method = method
    self.overlay = overlay
  }

  mutating func write(_ explanation: Explanation, of image: Image, _ path: String) throws {
    let what = explanation.reading.map { "filter-\($0.filter)" } ?? className(explanation.classIndex)
    let name = "\(stem(of: path))-\(method)-\(what)"
    let file = overlays.path(for: name)
    try writeFile(file, overlay.draw(explanation, on: image).encodePNG())
    let grid = explanation.grid
    let map = maps?.path(for: name)
    if let map { try writeFile(map, Tensor(grid.values, [grid.height, grid.width]).npy()) }
    let label = model.label(of: explanation.classIndex)
    table.add(
      file.printable, explanation.classIndex < 0 ? "-" : "\(explanation.classIndex)", label?.printable ?? "-",
      fixed(Double(explanation.score), 4), note(explanation))
    let region = explanation.field.region
    results.append(
      .object([
        ("file", .text(path)), ("class", .integer(explanation.classIndex)), ("label", .optional(label)),
        ("score", .number(explanation.score)), ("degenerate", .bool(explanation.isDegenerate)),
        ("overlay", .text(file)), ("map", .optional(map)), ("filter", Self.filter(explanation.reading)),
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

  private func note(_ explanation: Explanation) -> String {
    guard let reading = explanation.reading else {
      return explanation.isDegenerate ? "degenerate: the map is constant" : ""
    }
    let words = reading.words.map { "\($0.text.printable) \(fixed(Double($0.similarity), 3))" }.joined(separator: ", ")
    return "filter \(reading.filter): " + (words.isEmpty ? "inactive" : words)
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
