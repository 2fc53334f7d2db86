import Documents
import Explainers
import Explanations
import Models
import Parallel
import Tensors

/// LaViSE: words for the filters of a layer.
struct NameFilters: Command {
  static let usage = Usage(
    name: "name-filters", operands: "MODEL IMAGE…", operandCount: 2...Int.max,
    summary: "Name a network's filters with words, after the images that excite them (LaViSE models).",
    options: [
      Option("filters", "LIST", "which, like 0-63 or 3,17,40-49 (default: all of the layer)"),
      Option("images-per-filter", "P", "images that each filter is named after (default 25)"),
      Option("words", "S", "words taken from each image (default 5)"),
      Option("output-words", "N", "words in a name (default 10)"),
      Option("method", "NAME", "how a filter sees an image: projection (default), activation, image, original"),
      Option("weighting", "NAME", "what an image's words count: once (default), floor, ceiling, enlarged"),
      Option("quantile", "Q", "share of activations outside of a filter's region (default 0.995)"),
      Option("only", "FILE", "a text file of words, one a line: leave all others out of names"),
      .json, .threads,
    ])

  private let model: String
  private var images: [String]
  private let filters: [Int]?
  private let naming: Naming
  private let allowed: String?
  private let threads: Int?
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    images = Array(arguments.operands.dropFirst())
    filters = try arguments.text("filters").map { text in try locating("--filters") { try Self.list(text) } }
    var given: [String: ParameterValue] = [:]
    for (option, name) in [
      ("images-per-filter", "images_per_filter"), ("words", "words"), ("output-words", "output_words"),
    ] {
      given[name] = try arguments.integer(option, in: 1...100_000).map { .number(Double($0)) }
    }
    given["quantile"] = try arguments.number("quantile", in: 0...1).map { .number($0) }
    given["attention"] = try Self.choice(arguments, "method", FilterAttention.self)
    given["weighting"] = try Self.choice(arguments, "weighting", Weighting.self)
    naming = try Naming(given)
    allowed = arguments.text("only")
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
  }

  private static func choice<C: CaseIterable & RawRepresentable<String>>(
    _ arguments: Arguments, _ option: String, _: C.Type
  ) throws -> ParameterValue? {
    guard let text = arguments.text(option) else { return nil }
    if C(rawValue: text) != nil { return .text(text) }
    let known = C.allCases.map(\.rawValue).joined(separator: ", ")
    throw Failure(.invalidArgument, "--\(option) is \(quoted(text)); it must be one of \(known)")
  }

  /// "3,17,40-49"
  private static func list(_ text: String) throws -> [Int] {
    let numbers = try text.split(separator: ",", omittingEmptySubsequences: false).flatMap { part in
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends.last ?? nil, first >= 0, first <= last,
        last < 1_000_000
      else { throw Failure(.invalidArgument, "\(quoted(String(part))) is no number, and no range like 0-63") }
      return Array(first...last)
    }
    var seen = Set<Int>()
    return numbers.filter { seen.insert($0).inserted }
  }

  func run() throws {
    var job = self
    job.images = try imageFiles(images)
    try job.name()
  }

  private func name() throws {
    let model = try Model.load(model, threads: threads)
    let explainer = try FilterExplainer(model)
    var naming = naming
    if let allowed { naming.allowed = try Self.words(allowed) }
    let line = ProgressLine()
    defer { line.clear() }
    let shelf = Shelf(images, model.reading, line)
    let names = try naming.name(
      filters, of: explainer, from: shelf.images, Call(), line.progress("naming filters"))
    line.clear()
    try Console.write(isJSON ? document(names, shelf).document : table(names).text)
    try shelf.refuseUnread()
  }

  private static func words(_ path: String) throws -> Set<String> {
    let file = try Storage(path: path)
    return Set(
      file.withBytes { String(decoding: $0, as: UTF8.self) }.split(whereSeparator: \.isNewline).map(String.init))
  }

  private func table(_ names: [FilterName]) -> Table {
    var table = Table(["filter", "images", "words"])
    for name in names {
      let words = name.words.map { "\($0.text.printable) \(short($0.count))" }.joined(separator: ", ")
      table.add("\(name.filter)", "\(name.images.count)", name.isInactive ? "- (inactive)" : words)
    }
    return table
  }

  private func short(_ count: Double) -> String { count < 1e15 ? "\(Int(count))" : "\(count)" }

  private func document(_ names: [FilterName], _ shelf: Shelf) -> JSON {
    let filters = names.map { name in
      JSON.object([
        ("filter", .integer(name.filter)), ("inactive", .bool(name.isInactive)),
        ("threshold", name.threshold.map { .number($0) } ?? .null),
        ("words", .list(name.words.map { .object([("word", .text($0.text)), ("count", .number($0.count))]) })),
        (
          "images",
          .list(
            name.images.map {
              .object([
                ("file", .text(images[$0.index])), ("activation", .number($0.activation)),
              ])
            })
        ),
      ])
    }
    return .object([
      ("model", .text(model)), ("method", .text("\(naming.attention)")), ("weighting", .text("\(naming.weighting)")),
      ("images_per_filter", .integer(naming.images)), ("words", .integer(naming.words)),
      ("quantile", .number(naming.quantile)), ("filters", .list(filters)),
    ])
  }
}
