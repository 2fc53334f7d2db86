import Graph
import Operators
import Tensors

/// The end of a graph before an output: softmax or sigmoid, perhaps spelled out, and what only moves numbers.
struct ScoreTail {
  typealias Found = (kind: Metadata.Role?, logits: ValueID)

  private let graph: Graph
  private let producers: [ValueID: Int]
  private let shape: (ValueID) -> [Int]?
  private let constants: (ValueID) -> Tensor?

  /// `shape` and `constants` are what is known of the values of the graph.
  init(_ graph: Graph, shape: @escaping (ValueID) -> [Int]?, constants: @escaping (ValueID) -> Tensor?) {
    self.graph = graph
    producers = graph.producers()
    self.shape = shape
    self.constants = constants
  }

  /// What `output` is, and the logits that it was made from, itself where they are not to be had; nil kind where
  /// nothing shows that it holds probabilities.
  func find(_ output: ValueID) -> Found {
    let value = moved(output)
    if let node = producer(value),
      let found = named(node) ?? softmax(node) ?? sigmoid(node) ?? logSoftmax(node) ?? pair(node, output)
    {
      return found
    }
    let range = ValueRange(constants: constants, producer: producer).of(output)
    // Rounding may take a sum of shares just past 1.
    if let range, range.lowerBound >= 0, range.upperBound <= 1.0001 { return (.independentProbabilities, output) }
    return (nil, output)
  }

  private func producer(_ value: ValueID?) -> Node? { value.flatMap { producers[$0] }.map { graph.nodes[$0] } }
  private func input(_ node: Node, _ i: Int = 0) -> ValueID? { i < node.inputs.count ? node.inputs[i] : nil }

  /// `value` before all nodes that change neither its numbers nor, but for extents of 1, their order.
  private func moved(_ value: ValueID) -> ValueID {
    var current = value
    while let node = producer(current), let source = input(node), node.onlyMoves { current = source }
    return current
  }

  private func maker(_ value: ValueID?, _ operations: String...) -> Node? {
    guard let value, let node = producer(moved(value)), operations.contains(node.operation) else { return nil }
    return node
  }

  private func named(_ node: Node) -> Found? {
    guard let source = input(node) else { return nil }
    switch node.operation {
    case "Softmax": return (isOverClasses(node) ? .probabilities : .independentProbabilities, source)
    case "LogSoftmax": return (.logProbabilities, source)
    case "Sigmoid", "HardSigmoid": return (.independentProbabilities, source)
    case "Log":
      guard let inner = producer(moved(source)) else { return nil }
      return (named(inner) ?? softmax(inner) ?? sigmoid(inner)).map { (.logProbabilities, $0.logits) }
    case "Exp":
      guard let inner = producer(moved(source)) else { return nil }
      if inner.operation == "LogSoftmax" {
        return input(inner).map { (isOverClasses(inner) ? .probabilities : .independentProbabilities, $0) }
      }
      return logSoftmax(inner).map { (.probabilities, $0.logits) }
    default: return nil
    }
  }

  /// Whether the shares of all that an image has come to 1; so too where shapes are not known.
  private func isOverClasses(_ node: Node) -> Bool {
    guard let source = input(node), let shape = shape(source), shape.count > 1,
      let axis = try? node.int("axis", default: graph.opset(of: node) < 13 ? 1 : -1)
    else { return true }
    let first = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(first) else { return true }
    let together = graph.opset(of: node) < 13 ? shape[first...].reduce(1, *) : shape[first]
    return together == shape[1...].reduce(1, *) || first == 0 && shape[0] == 1
  }

  /// exp(z) / Σ exp(z), z perhaps less its maximum.
  private func softmax(_ node: Node) -> Found? {
    let parts: [(ValueID?, ValueID?)]
    switch node.operation {
    case "Div": parts = [(input(node), input(node, 1))]
    case "Mul":
      parts = [(0, 1), (1, 0)].map { a, b in
        (input(node, a), maker(input(node, b), "Reciprocal").flatMap { input($0) })
      }
    default: return nil
    }
    for (above, below) in parts {
      guard let power = maker(above, "Exp"), let sum = maker(below, "ReduceSum", "ReduceL1"),
        maker(input(sum), "Exp")?.outputs == power.outputs
      else { continue }
      return shifted(input(power)).map { (.probabilities, $0) }
    }
    return nil
  }

  /// z − log Σ exp(z), z perhaps less its maximum; or z − (max + log Σ exp(z − max)).
  private func logSoftmax(_ node: Node) -> Found? {
    guard node.operation == "Sub", let z = input(node) else { return nil }
    var below = input(node, 1)
    if let sum = maker(below, "Add"),
      let log = [0, 1].first(where: { maker(input(sum, 1 - $0), "ReduceMax") != nil }).flatMap({ input(sum, $0) })
    {
      below = log
    }
    if let sum = maker(below, "ReduceLogSumExp", "ReduceLogSum"), let source = input(sum) {
      let inner = sum.operation == "ReduceLogSum" ? maker(source, "Exp").flatMap { input($0) } : source
      return inner.map(shifted) == shifted(z) ? shifted(z).map { (.logProbabilities, $0) } : nil
    }
    guard let log = maker(below, "Log"), let sum = maker(input(log), "ReduceSum", "ReduceL1"),
      let power = maker(input(sum), "Exp"), shifted(input(power)) == shifted(z)
    else { return nil }
    return shifted(z).map { (.logProbabilities, $0) }
  }

  /// 1 / (1 + exp(−z)), or exp(z) / (1 + exp(z))
  private func sigmoid(_ node: Node) -> Found? {
    let below: ValueID?
    var above: Node?
    switch node.operation {
    case "Reciprocal": below = input(node)
    case "Div":
      below = input(node, 1)
      above = maker(input(node), "Exp")
      guard above != nil || isAll(1, input(node)) else { return nil }
    case "Pow" where isAll(-1, input(node, 1)): below = input(node)
    default: return nil
    }
    guard let sum = maker(below, "Add"),
      let power = [(0, 1), (1, 0)].lazy.compactMap({ a, b in
        isAll(1, input(sum, a)) ? maker(input(sum, b), "Exp") : nil
      }).first
    else { return nil }
    if let above { return above.outputs == power.outputs ? input(power).map { (.independentProbabilities, $0) } : nil }
    return negated(input(power)).map { (.independentProbabilities, $0) }
  }

  /// What `value` is the negative of.
  private func negated(_ value: ValueID?) -> ValueID? {
    if let node = maker(value, "Neg") { return input(node) }
    if let node = maker(value, "Mul") {
      return [(0, 1), (1, 0)].first { isAll(-1, input(node, $0.0)) }.flatMap { input(node, $0.1) }
    }
    if let node = maker(value, "Sub"), isAll(0, input(node)) { return input(node, 1) }
    return nil
  }

  /// [1 − p, p] of one probability.
  private func pair(_ node: Node, _ output: ValueID) -> Found? {
    guard node.operation == "Concat", node.inputs.count == 2 else { return nil }
    for (a, b) in [(0, 1), (1, 0)] {
      guard let rest = maker(input(node, a), "Sub"), isAll(1, input(rest)), let chosen = input(rest, 1),
        let p = input(node, b), moved(chosen) == moved(p), find(p).kind == .independentProbabilities
      else { continue }
      return (.probabilities, output)
    }
    return nil
  }

  private func isAll(_ number: Float, _ value: ValueID?) -> Bool {
    guard let value, let tensor = try? constants(moved(value))?.computed(), tensor.type == .float32, tensor.count > 0
    else { return false }
    return tensor.array(of: Float.self).allSatisfy { $0 == number }
  }

  /// `value`, or what it is less its maximum.
  private func shifted(_ value: ValueID?) -> ValueID? {
    guard let value else { return nil }
    guard let node = maker(value, "Sub"), maker(input(node, 1), "ReduceMax") != nil else { return value }
    return input(node)
  }
}

extension Node {
  /// Whether its first output has the numbers of its first input, but for rounding and bounds that probabilities keep.
  var onlyMoves: Bool {
    guard domain.isEmpty || domain == "limpid" else { return false }
    switch operation {
    case "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout", "QuantizeLinear",
      "DequantizeLinear", "Clip", "CastLike":
      return true
    case "Cast":
      guard case .int(let code)? = attributes["to"] else { return false }
      return ElementType(rawValue: Int32(truncatingIfNeeded: code))?.computed == .float32
    default: return false
    }
  }
}
