import CLimpid
import Documents
import Evaluation
import Explainers
import Explanations
import Images
import Metrics
import Models

/// The explanation methods, from their own tables.
struct Methods: Command {
  static let usage = Usage(
    name: "methods", operands: "", operandCount: 0...0, summary: "List the explanation methods and their parameters.",
    options: [.json])

  private let isJSON: Bool

  init(_ arguments: Arguments) { isJSON = arguments.flag("json") }

  func run() throws {
    let methods = Explainers.all + Explainers.controls
    try Console.write(isJSON ? JSON.list(methods.map(Self.json)).document : Self.text(methods))
  }

  static func text(_ methods: [any Explainer]) -> String {
    methods.map { method in
      var table = table(method.parameters, method.draws, "--draw")
      if method.tapsLayers { table.add("    --layer", "", "It looks at inner values, which may be named.") }
      if method.drawsNumbers { table.add("    --seed", "default 0", "Of its random numbers.") }
      return "\(method.name)\n  \(method.summary)\n" + table.text
    }.joined(separator: "\n")
  }

  /// Parameters and draws, one a line; `option` gives draws.
  static func table(_ parameters: [Parameter], _ draws: [Draw], _ option: String) -> Table {
    var table = Table()
    for parameter in parameters {
      var summary = parameter.summary
      if case .choice(let words, _) = parameter.kind { summary += " One of \(words.joined(separator: ", "))." }
      table.add("    \(parameter.name)", "default \(parameter.defaultValue)", summary)
    }
    for draw in draws { table.add("    \(draw.name)", option, draw.summary) }
    return table
  }

  static func json(_ parameters: [Parameter]) -> JSON {
    .list(
      parameters.map { parameter in
        let members: [(String, JSON)] = [
          ("name", .text(parameter.name)), ("summary", .text(parameter.summary)),
          ("default", JSON(parameter.defaultValue)),
        ]
        switch parameter.kind {
        case .number(_, let range, let isInteger):
          return JSON.object(
            members + [
              ("minimum", .number(range.lowerBound)), ("maximum", .number(range.upperBound)),
              ("integer", .bool(isInteger)),
            ])
        case .choice(let words, _): return JSON.object(members + [("choices", .texts(words))])
        }
      })
  }

  static func json(_ draws: [Draw]) -> JSON {
    .list(draws.map { .object([("name", .text($0.name)), ("summary", .text($0.summary))]) })
  }

  static func json(_ method: any Explainer) -> JSON {
    .object([
      ("name", .text(method.name)), ("summary", .text(method.summary)), ("parameters", json(method.parameters)),
      ("draws", json(method.draws)), ("layers", .bool(method.tapsLayers)), ("seed", .bool(method.drawsNumbers)),
    ])
  }
}

/// The metrics, likewise.
struct MetricList: Command {
  static let usage = Usage(
    name: "metrics", operands: "", operandCount: 0...0, summary: "List the metrics and their parameters.",
    options: [.json])

  private let isJSON: Bool

  init(_ arguments: Arguments) { isJSON = arguments.flag("json") }

  func run() throws {
    let text = Metrics.all.map { metric in
      "\(metric.name)\n  \(metric.summary)\n  better: \(metric.better.rawValue)\n"
        + Methods.table(metric.parameters, metric.draws, "--metric-draw").text
    }
    let documents = Metrics.all.map { metric in
      JSON.object([
        ("name", .text(metric.name)), ("summary", .text(metric.summary)),
        ("parameters", Methods.json(metric.parameters)), ("draws", Methods.json(metric.draws)),
        ("maps", .text(metric.reads.rawValue)), ("model", .bool(metric.needsModel)),
        ("method", .bool(metric.needsMethod)), ("seed", .bool(metric.drawsNumbers)),
        ("better", .text(metric.better.rawValue)),
      ])
    }
    try Console.write(isJSON ? JSON.list(documents).document : text.joined(separator: "\n"))
  }
}

struct Colormaps: Command {
  static let usage = Usage(
    name: "colormaps", operands: "", operandCount: 0...0, summary: "List the colour maps.", options: [.json])

  private let isJSON: Bool

  init(_ arguments: Arguments) { isJSON = arguments.flag("json") }

  func run() throws {
    try Console.write(isJSON ? JSON.texts(Colormap.names).document : Colormap.names.map { $0 + "\n" }.joined())
  }
}

struct Version: Command {
  static let usage = Usage(
    name: "version", operands: "", operandCount: 0...0, summary: "Say which version this is.", options: [])

  init(_ arguments: Arguments) {}

  func run() throws {
    try Console.write("limpid \(LIMPID_VERSION_MAJOR).\(LIMPID_VERSION_MINOR).\(LIMPID_VERSION_PATCH)\n")
  }
}
