public import Graph
import Operators
import Tensors

/// Which output of a model holds its scores, and what they are by what the graph computes.
public struct ScoreHead: Sendable {
  public let output: ValueID
  public let kind: Metadata.Role
  /// The scores before the softmax or sigmoid at the end, in the same order; `output` where there is none.
  public let logits: ValueID
  /// Scores of one image: one for each class, or a single one.
  public let count: Int?

  /// One number that decides between two classes, or a value of its own.
  public var isSingle: Bool { count == 1 && kind != .values }
  /// Classes as callers count them: a single score is that of class 1 of two.
  public var classCount: Int? { isSingle ? 2 : count }
}

/// The end of a graph before an output: softmax or sigmoid, perhaps spelled out, and what only moves numbers.
struct ScoreTail {
  private let graph: Graph
  private let producers: [ValueID: Int]
  private let constants: (ValueID) -> Tensor?

  init(_ graph: Graph, constants: @escaping (ValueID) -> Tensor?) {
    self.graph = graph
    producers = graph.producers()
    self.constants = constants
  }

  /// What `output` is, and the logits that it was made from; nil kind where no softmax or sigmoid is at its end.
  func find(_ output: ValueID) -> (kind: Metadata.Role?, logits: ValueID) {
    let value = moved(output)
    guard let node = producer(value) else { return (nil, output) }
    if let found = named(node) ?? softmax(node) ?? sigmoid(node) ?? logSoftmax(node) { return found }
    return (nil, output)
  }

  private func producer(_ value: ValueID?) -> Node? { value.flatMap { producers[$0] }.map { graph.nodes[$0] } }
  private func input(_ node: Node, _ i: Int = 0) -> ValueID? { i < node.inputs.count ? node.inputs[i] : nil }

  /// `value` before all nodes that change neither its numbers nor, but for extents of 1, their order.
  private func moved(_ value: ValueID) -> ValueID {
    var current = value
    while let node = producer(current), let source = input(node) {
      switch node.operation {
      case "Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout", "QuantizeLinear",
        "DequantizeLinear", "Clip":
        current = source
      default: return current
      }
    }
    return current
  }

  private func maker(_ value: ValueID?, _ operation: String) -> Node? {
    guard let value, let node = producer(moved(value)), node.operation == operation else { return nil }
    return node
  }

  private func named(_ node: Node) -> (Metadata.Role?, ValueID)? {
    guard let source = input(node) else { return nil }
    switch node.operation {
    case "Softmax": return (.probabilities, source)
    case "LogSoftmax": return (.logProbabilities, source)
    case "Sigmoid", "HardSigmoid": return (.independentProbabilities, source)
    case "Log": return maker(source, "Softmax").flatMap { input($0) }.map { (.logProbabilities, $0) }
    case "Exp": return maker(source, "LogSoftmax").flatMap { input($0) }.map { (.probabilities, $0) }
    default: return nil
    }
  }

  /// exp(z) / Σ exp(z), z perhaps less its maximum.
  private func softmax(_ node: Node) -> (Metadata.Role?, ValueID)? {
    guard node.operation == "Div", let power = maker(input(node), "Exp"), let sum = maker(input(node, 1), "ReduceSum"),
      maker(input(sum), "Exp")?.outputs == power.outputs
    else { return nil }
    return shifted(input(power)).map { (.probabilities, $0) }
  }

  /// z − log Σ exp(z)
  private func logSoftmax(_ node: Node) -> (Metadata.Role?, ValueID)? {
    guard node.operation == "Sub", let z = input(node) else { return nil }
    if let sum = maker(input(node, 1), "ReduceLogSumExp"), input(sum) == z { return (.logProbabilities, z) }
    guard let log = maker(input(node, 1), "Log"), let sum = maker(input(log), "ReduceSum"),
      let power = maker(input(sum), "Exp"), input(power) == z
    else { return nil }
    return shifted(z).map { (.logProbabilities, $0) }
  }

  /// 1 / (1 + exp(−z))
  private func sigmoid(_ node: Node) -> (Metadata.Role?, ValueID)? {
    let below: ValueID?
    switch node.operation {
    case "Reciprocal": below = input(node)
    case "Div" where isOne(input(node)): below = input(node, 1)
    default: return nil
    }
    guard let sum = maker(below, "Add"),
      let power = [(0, 1), (1, 0)].lazy.compactMap({ a, b in
        isOne(input(sum, a)) ? maker(input(sum, b), "Exp") : nil
      }).first, let negated = maker(input(power), "Neg")
    else { return nil }
    return input(negated).map { (.independentProbabilities, $0) }
  }

  private func isOne(_ value: ValueID?) -> Bool {
    guard let value, let tensor = constants(value), tensor.type == .float32, tensor.count == 1 else { return false }
    return tensor.array(of: Float.self)[0] == 1
  }

  private func shifted(_ value: ValueID?) -> ValueID? {
    guard let value else { return nil }
    guard let node = maker(value, "Sub"), maker(input(node, 1), "ReduceMax") != nil else { return value }
    return input(node)
  }
}

extension ScoreHead {
  /// Chooses among the outputs of a model: the one named `wanted`, else one that the metadata marks, else an only one
  /// that could hold scores, else the only one that ends in a softmax or sigmoid. `shape` is that for one image where it
  /// is known.
  ///
  /// Throws `invalidArgument`, listing the outputs, where none or several could be.
  static func find(
    _ graph: Graph, _ metadata: Metadata, named wanted: String?, shape: (ValueID) -> Shape?,
    constants: @escaping (ValueID) -> Tensor?
  ) throws -> ScoreHead {
    let tail = ScoreTail(graph, constants: constants)
    func head(_ output: Declaration) -> ScoreHead {
      let found = tail.find(output.value)
      let role = metadata.role(of: graph.name(of: output.value))
      let scores = shape(output.value)
      return ScoreHead(
        output: output.value, kind: role ?? found.kind ?? .logits, logits: found.logits,
        count: scores.flatMap { $0.rank == 0 ? 1 : $0[0] > 0 ? $0.count / $0[0] : nil })
    }
    if let wanted {
      guard let output = graph.outputs.first(where: { graph.name(of: $0.value) == wanted }) else {
        throw Failure(.notFound, "the model has no output \(quoted(wanted)); its outputs are \(list(graph, shape))")
      }
      try checkShape(output, graph, shape)
      return head(output)
    }
    let marked = graph.outputs.filter { metadata.role(of: graph.name(of: $0.value))?.isScore == true }
    if let first = marked.first {
      try checkShape(first, graph, shape)
      return head(first)
    }
    // An output that the file says is something else is no score.
    let open = graph.outputs.filter { metadata.role(of: graph.name(of: $0.value)) == nil }
    let possible = open.filter { isScores($0, shape) }
    if possible.count == 1 { return head(possible[0]) }
    let ending = possible.filter { tail.find($0.value).kind != nil }
    if ending.count == 1 { return head(ending[0]) }
    if open.count == 1 { try checkShape(open[0], graph, shape) }
    throw Failure(
      .invalidArgument,
      (possible.isEmpty ? "no output holds a score for each class" : "several outputs could hold the scores")
        + "; choose one (`output`), or mark it in the file (`limpid-convert annotate --scores NAME=logits`): "
        + list(graph, shape))
  }

  /// [N, classes], or such with more axes of extent 1.
  private static func isScores(_ output: Declaration, _ shape: (ValueID) -> Shape?) -> Bool {
    guard output.type.computed == .float32 else { return false }
    if let shape = shape(output.value) {
      return shape.rank >= 2 && shape.dimensions[1...].count { $0 != 1 } <= 1
    }
    guard let dimensions = output.dimensions else { return true }
    return dimensions.count == 2 || dimensions.count > 2 && dimensions[2...].allSatisfy { $0 == .fixed(1) }
  }

  private static func checkShape(_ output: Declaration, _ graph: Graph, _ shape: (ValueID) -> Shape?) throws {
    guard !isScores(output, shape) else { return }
    let name = quoted(graph.name(of: output.value))
    let form = shape(output.value).map(\.description) ?? "not [N, classes]"
    let isSpatial = shape(output.value).map { $0.rank > 2 } ?? false
    throw Failure(
      .invalidArgument,
      "the output \(name) is \(output.type) \(form)" + (isSpatial ? ": it has an extent in space, and its positions are "
        + "no classes; explain it by a target" : "") + "; scores are floating-point [N, classes]")
  }

  private static func list(_ graph: Graph, _ shape: (ValueID) -> Shape?) -> String {
    graph.outputs.map { output in
      "\(quoted(graph.name(of: output.value))) \(output.type) \(shape(output.value)?.description ?? "[?]")"
    }.joined(separator: ", ")
  }
}
