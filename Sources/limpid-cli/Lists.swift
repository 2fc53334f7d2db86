import CLimpid
import Explainers
import Explanations
import Images
import Models

/// The explanation methods, from their own tables.
struct Methods: Command {
  static let usage = Usage(
    name: "methods", operands: "", operandCount: 0...0, summary: "List the explanation methods and their parameters.",
    options: [.json])

  private let isJSON: Bool

  init(_ arguments: Arguments) { isJSON = arguments.flag("json") }

  func run() throws {
    let methods = Explainers.all
    try Console.write(isJSON ? JSON.list(methods.map(Self.json)).document : Self.text(methods))
  }

  static func text(_ methods: [any Explainer]) -> String {
    methods.map { method in
      var parameters = Table()
      for parameter in method.parameters {
        var summary = parameter.summary
        if case .choice(let words, _) = parameter.kind { summary += " One of \(words.joined(separator: ", "))." }
        parameters.add("    \(parameter.name)", "default \(parameter.defaultValue)", summary)
      }
      for draw in method.draws { parameters.add("    \(draw.name)", "--draw", draw.summary) }
      if method.tapsLayers { parameters.add("    --layer", "", "It looks at inner values, which may be named.") }
      if method.drawsNumbers { parameters.add("    --seed", "default 0", "Of its random numbers.") }
      return "\(method.name)\n  \(method.summary)\n" + parameters.text
    }.joined(separator: "\n")
  }

  static func json(_ method: any Explainer) -> JSON {
    let parameters = method.parameters.map { parameter in
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
    }
    let draws = method.draws.map { JSON.object([("name", .text($0.name)), ("summary", .text($0.summary))]) }
    return .object([
      ("name", .text(method.name)), ("summary", .text(method.summary)), ("parameters", .list(parameters)),
      ("draws", .list(draws)), ("layers", .bool(method.tapsLayers)), ("seed", .bool(method.drawsNumbers)),
    ])
  }
}

extension JSON {
  init(_ value: ParameterValue) {
    switch value {
    case .number(let number): self = .number(number)
    case .text(let word): self = .text(word)
    }
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
