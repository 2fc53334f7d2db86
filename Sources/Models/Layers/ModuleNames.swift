import Graph
import Tensors

/// Values by the modules of the program that exported the graph. PyTorch's newer exporter notes them at the nodes; the
/// older one names nodes by their path, "/layer4/layer4.1/relu_1/Relu".
struct ModuleNames {
  /// The qualified module of each node, and the node's first output, in the order of the graph.
  private let modules: [(name: String, value: ValueID)]

  init(_ graph: Graph) {
    modules = graph.nodes.compactMap { node in
      guard let output = node.output(0) else { return nil }
      return (node.module ?? Self.module(of: node.name)).map { ($0, output) }
    }
  }

  /// "layer4.1.relu_1" of "/layer4/layer4.1/relu_1/Relu": a step repeats the one before where modules are numbered.
  private static func module(of node: String) -> String? {
    guard node.hasPrefix("/") else { return nil }
    var path: [Substring] = []
    for step in node.dropFirst().split(separator: "/").dropLast() {
      if let last = path.last, step.hasPrefix(last + ".") { path.removeLast() }
      path.append(step)
    }
    return path.isEmpty ? nil : path.joined(separator: ".")
  }

  var names: Set<String> { Set(modules.map(\.name)) }

  /// What the module `name` gives: the last value that is made in it; of the module of the longest path where several
  /// models are wrapped in one another. nil where there is none.
  func value(of name: String) -> ValueID? {
    let own = modules.last { $0.name == name || $0.name.hasPrefix(name + ".") }
    let wrapped = modules.last { $0.name.hasSuffix("." + name) || $0.name.contains("." + name + ".") }
    return (own ?? wrapped)?.value
  }
}

extension Model {
  /// The value that a caller means by a layer: a value's name, else a module of the exporting program ("layer4",
  /// "features.18"), else "input", the image input.
  public func tappedValue(named name: String) throws -> ValueID {
    if let value = graph.value(named: name) ?? ModuleNames(graph).value(of: name) { return value }
    if name == "input", let input { return input.value }
    let known = (fixedInputShape.flatMap { try? analysis(for: $0) })?.layers.suffix(3) ?? []
    let hint =
      known.isEmpty ? "" : "; for example " + known.map { quoted(graph.name(of: $0.value)) }.joined(separator: ", ")
    let modules = ModuleNames(graph)
    throw Failure(
      .notFound,
      "the model has no value or module named \(quoted(name)); "
        + suggestion(for: name, among: Array(modules.names) + graph.names) + "`limpid inspect` lists its layers" + hint)
  }
}
