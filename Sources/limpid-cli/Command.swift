/// A command of the program: `init` reads its words (what it throws is a mistake in the call), `run` does the work.
protocol Command: SendableMetatype {
  static var usage: Usage { get }
  init(_ arguments: Arguments) throws
  func run() throws
}

enum Commands {
  static let all: [any Command.Type] = [
    Classify.self, Explain.self, Measure.self, Evaluate.self, Estimate.self, NameFilters.self, Inspect.self, Fetch.self,
    Bench.self, Methods.self,
    MetricList.self, Colormaps.self, Completions.self, Manual.self, Version.self,
  ]

  static var usages: [Usage] { all.map { $0.usage } }

  static func named(_ name: String) -> (any Command.Type)? { all.first { $0.usage.name == name } }

  static var help: String {
    let width = all.map { $0.usage.name.count }.max() ?? 0
    let lines = all.map { "  \($0.usage.name.padded(to: width))  \($0.usage.summary)" }
    return """
      limpid: classify images, and show why

      usage: limpid COMMAND …

      \(lines.joined(separator: "\n"))

      limpid COMMAND --help shows what a command takes.

      """
  }
}
