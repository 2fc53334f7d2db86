import CLimpid
import Explainers
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
        parameters.add("    \(parameter.name)", "default \(short(parameter.defaultValue))", parameter.summary)
      }
      return "\(method.name)\n  \(method.summary)\n" + parameters.text
    }.joined(separator: "\n")
  }

  static func json(_ method: any Explainer) -> JSON {
    let parameters = method.parameters.map { parameter in
      JSON.object([
        ("name", .text(parameter.name)), ("summary", .text(parameter.summary)),
        ("default", .number(parameter.defaultValue)), ("minimum", .number(parameter.range.lowerBound)),
        ("maximum", .number(parameter.range.upperBound)),
      ])
    }
    return .object([
      ("name", .text(method.name)), ("summary", .text(method.summary)), ("parameters", .list(parameters)),
    ])
  }

  /// Whole numbers without ".0".
  private static func short(_ value: Double) -> String {
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
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
