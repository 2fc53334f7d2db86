import Documents
import Engine
import Explainers
import Graph
import Images
import Models
import Tensors

struct Inspect: Command {
  static let usage = Usage(
    name: "inspect", operands: "MODEL", operandCount: 1...1,
    summary: "Say what a model file contains: inputs, outputs, classes, preprocessing, layers, methods.",
    options: [Option(flag: "values", "list every value in the model too, with its shape for one image"), .json])

  private let path: String
  private let isJSON: Bool
  private let wantsValues: Bool

  init(_ arguments: Arguments) throws {
    path = arguments.operands[0]
    isJSON = arguments.flag("json")
    wantsValues = arguments.flag("values")
  }

  func run() throws {
    let model = try Model.load(path)
    let values = wantsValues ? try model.values() : nil
    try Console.write(isJSON ? document(model, values).document : text(model, values))
  }

  private func text(_ model: Model, _ values: [Value]?) throws -> String {
    let graph = model.fileGraph
    var table = Table()
    table.add("model", path.printable)
    table.add("family", model.metadata.family.printable)
    for input in graph.inputs { table.add("input", "\(graph.name(of: input.value).printable)  \(input.text)") }
    for output in graph.outputs {
      let role = model.role(of: output).map { "  (\($0.rawValue))" } ?? ""
      table.add("output", "\(graph.name(of: output.value).printable)  \(output.text)\(role)")
    }
    switch model.foundScores {
    case .success(let head): table.add("scores", "\(head.name.printable)  \(head.kind.rawValue)")
    case .failure(let failure): table.add("scores", failure.message.printable)
    }
    if let format = model.format {
      table.add("image input", "\(graph.name(of: format.declaration.value).printable)  \(format.arrangement.rawValue)")
    }
    table.add("classes", model.classCount.map(String.init) ?? "depends on the input")
    let preprocessing = model.metadata.preprocessing?.description ?? "none in the file, so images cannot be fed"
    table.add("preprocessing", preprocessing.split(separator: "\n").joined(separator: "; "))
    for layer in model.listedLayers { table.add("layer", layer.text(graph)) }
    for domain in graph.opsets.keys.sorted() {
      table.add("operators", "\(domain.isEmpty ? "ai.onnx" : domain.printable) \(graph.opsets[domain] ?? 0)")
    }
    table.add("nodes", "\(graph.nodes.count)")
    table.add("weights", byteSize(graph.weightByteCount))
    table.add("memory of a run", try model.memoryOfOneRun().map { byteSize($0) } ?? "depends on the input")
    var text = table.text
    if !model.metadata.labels.isEmpty {
      var labels = Table(["class", "label"])
      for (i, label) in model.metadata.labels.enumerated() { labels.add("\(i)", label.printable) }
      text += "\n" + labels.text
    }
    let methods = model.explainers.map(\.name)
    text +=
      methods.isEmpty
      ? "\nno method can explain this model\n"
      : "\nmethods, described by `limpid methods`: \(methods.joined(separator: ", "))\n"
    if !model.metadata.entries.isEmpty { text += "\n" + metadata(model) }
    if let values { text += "\n" + Value.table(values) }
    return text
  }

  private func metadata(_ model: Model) -> String {
    var table = Table(["metadata", "value"])
    for (key, value) in model.metadata.entries.sorted(by: { $0.key < $1.key }) where key != "limpid.labels" {
      for (i, line) in value.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        table.add(i == 0 ? key.printable : "", String(line).printable)
      }
    }
    return table.text
  }

  private func document(_ model: Model, _ values: [Value]?) throws -> JSON {
    let graph = model.fileGraph
    let metadata = model.metadata
    var members: [(String, JSON)] = [
      ("model", .text(path)), ("family", .text(metadata.family)),
      ("inputs", .list(graph.inputs.map { .object($0.members(graph)) })),
      (
        "outputs",
        .list(
          graph.outputs.map {
            .object($0.members(graph) + [("role", .optional(model.role(of: $0)?.rawValue))])
          })
      ),
      (
        "scores",
        model.scores.map { .object([("output", .text($0.name)), ("kind", .text($0.kind.rawValue))]) } ?? .null
      ),
      (
        "image_input",
        model.format.map { format in
          .object([
            ("name", .text(graph.name(of: format.declaration.value))), ("layout", .text(format.arrangement.rawValue)),
          ])
        } ?? .null
      ),
      ("classes", .optional(model.classCount)), ("labels", .texts(metadata.labels)),
      ("preprocessing", .texts(metadata.preprocessing?.steps.map(\.description) ?? [])),
      ("layers", .list(model.listedLayers.map { $0.json(graph) })),
      (
        "operators",
        .object(
          graph.opsets.sorted { $0.key < $1.key }.map { ($0.key.isEmpty ? "ai.onnx" : $0.key, .integer($0.value)) })
      ),
      ("nodes", .integer(graph.nodes.count)), ("weight_bytes", .integer(graph.weightByteCount)),
      ("run_bytes", .optional(try model.memoryOfOneRun())),
      ("methods", .list(model.explainers.map(Methods.json))),
      ("metadata", .object(metadata.entries.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value)) })),
    ]
    if let values { members.append(("values", .list(values.map(\.json)))) }
    return .object(members)
  }
}

extension Model {
  /// What an output means: as the file says, and for the scores as the model is understood.
  fileprivate func role(of output: Declaration) -> Metadata.Role? {
    if let scores, scores.output == output.value { return scores.kind }
    return metadata.role(of: graph.name(of: output.value))
  }

  /// The plan of a run on one image; nil where the size of the input depends on the image.
  fileprivate func plan(_ fetches: [ValueID]) throws -> Plan? {
    guard let shape = fixedInputShape, let scores = possibleScores else { return nil }
    let feeds = try feeds(for: shape, rows: format?.batch ?? 1, scores, nil)
    return try engine.plan(feeds: feeds, fetches: fetches, parallel: parallel)
  }

  /// Bytes of working memory beside the weights.
  fileprivate func memoryOfOneRun() throws -> Int? {
    try scores.flatMap { try plan([$0.output]) }?.byteCount
  }

  /// What the nodes make, in the order in which they run.
  fileprivate func values() throws -> [Value] {
    let made = fileGraph.nodes.flatMap { node in node.outputs.compactMap { $0 }.map { ($0, node.operation) } }
    let shapes = try plan(made.map(\.0))?.fetchedShapes
    return made.enumerated().map { i, value in
      Value(name: graph.name(of: value.0), shape: shapes?[i], operation: value.1)
    }
  }
}

/// A value that can be fetched or tapped.
private struct Value {
  let name: String
  let shape: Shape?
  let operation: String

  static func table(_ values: [Value]) -> String {
    var table = Table(["value", "shape", "made by"])
    for value in values { table.add(value.name.printable, value.shape?.description ?? "?", value.operation.printable) }
    return table.text
  }

  var json: JSON {
    .object([
      ("name", .text(name)), ("shape", shape.map { .list($0.dimensions.map { .integer($0) }) } ?? .null),
      ("operation", .text(operation)),
    ])
  }
}

extension Graph {
  fileprivate var weightByteCount: Int { constants.values.reduce(0) { $0 + $1.byteCount } }
}

extension Declaration {
  /// "float32 [N×3×224×224]"
  fileprivate var text: String {
    guard let dimensions else { return "\(type) of any shape" }
    let extents = dimensions.map { dimension in
      switch dimension {
      case .fixed(let extent): "\(extent)"
      case .named(let name): name.printable
      case .unknown: "?"
      }
    }
    return "\(type) [\(extents.joined(separator: "×"))]"
  }

  /// A variable extent is its name, or null.
  fileprivate func members(_ graph: Graph) -> [(String, JSON)] {
    let shape = dimensions.map { dimensions in
      JSON.list(
        dimensions.map { dimension in
          switch dimension {
          case .fixed(let extent): .integer(extent)
          case .named(let name): .text(name)
          case .unknown: .null
          }
        })
    }
    return [("name", .text(graph.name(of: value))), ("type", .text(type.description)), ("shape", shape ?? .null)]
  }
}

extension FeatureLayer {
  fileprivate func text(_ graph: Graph) -> String {
    let others = grid.before + grid.after == 0 ? "" : ", \(grid.before + grid.after) other tokens"
    return "\(graph.name(of: value).printable)  \(arrangement.rawValue), \(channels) maps of "
      + "\(grid.rows)×\(grid.columns)\(others)"
  }

  fileprivate func json(_ graph: Graph) -> JSON {
    .object([
      ("value", .text(graph.name(of: value))), ("layout", .text(arrangement.rawValue)),
      ("channels", .integer(channels)), ("rows", .integer(grid.rows)), ("columns", .integer(grid.columns)),
      ("tokens_before", .integer(grid.before)), ("tokens_after", .integer(grid.after)),
    ])
  }
}
