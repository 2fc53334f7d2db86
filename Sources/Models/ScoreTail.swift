import Graph
import Operators
import Tensors

/// The end of a graph before an output: softmax or sigmoid, perhaps spelled out, and what only moves numbers.
struct ScoreTail {
  struct Found {
    /// nil where nothing shows that the value holds probabilities.
    var kind: Metadata.Role?
    /// What they were made from, `scores` where it is not to be had.
    var logits: ValueID
    /// How; nil where `logits` is `scores`.
    var link: Link?
    /// The value itself, or where it is `factor` times as large and `offset` more, in percent for example, the
    /// probabilities or their logarithms.
    var scores: ValueID
    var factor = 1.0
    var offset = 0.0
    /// What the numbers of `scores` are divided by: −1 where no value holds what they are the negative of.
    var scale = 1.0

    var withoutLogits: Found {
      Found(kind: kind, logits: scores, scores: scores, factor: factor, offset: offset, scale: scale)
    }
  }

  private let graph: Graph
  private let producers: [ValueID: Int]
  private let shape: (ValueID) -> [Int]?
  let constants: (ValueID) -> Tensor?
  private let rows: Int

  /// `shape` and `constants` are what is known of the values of the graph, for batches of `rows` images.
  init(
    _ graph: Graph, rows: Int, shape: @escaping (ValueID) -> [Int]?, constants: @escaping (ValueID) -> Tensor?
  ) {
    self.graph = graph
    self.rows = rows
    producers = graph.producers()
    self.shape = shape
    self.constants = constants
  }

  var bounds: ValueBounds {
    ValueBounds(shape: shape, constants: constants, producer: producer, opset: graph.opset(of:))
  }

  /// Chains of multiples that are followed.
  private static let mostSteps = 64

  func find(_ output: ValueID, depth: Int = 0) -> Found {
    let found = ending(output, depth)
    return found.link == nil || hasOneFromEach(found) ? found : found.withoutLogits
  }

  /// The same of an output with an extent in space, whose scores at each position lie along `axis`.
  func findAlong(axis: Int, _ output: ValueID, depth: Int = 0) -> Found {
    var value = output
    while let node = producer(value), ["Identity", "Cast", "Dropout"].contains(node.operation), node.onlyMoves,
      let source = node.input(0)
    {
      value = source
    }
    let plain = Found(kind: nil, logits: output, scores: output)
    guard let node = producer(value) else { return plain }
    if depth < Self.mostSteps, let (inner, factor, offset) = affine(node, of: value) {
      let found = findAlong(axis: axis, inner, depth: depth + 1)
      return found.kind == .logProbabilities || found.kind != nil && offset == 0 && factor > 0 ? found : plain
    }
    guard let source = node.input(0), shape(source) == shape(output) else { return plain }
    switch node.operation {
    case "Softmax", "LogSoftmax":
      guard graph.opset(of: node) >= 13, let rank = shape(source)?.count, let own = try? node.int("axis", default: -1),
        own == axis || own + rank == axis
      else { return plain }
      let kind: Metadata.Role = node.operation == "Softmax" ? .probabilities : .logProbabilities
      return Found(kind: kind, logits: source, link: .softmax, scores: output)
    case "Sigmoid", "HardSigmoid":
      return Found(kind: .independentProbabilities, logits: source, link: link(node), scores: output)
    default: return plain
    }
  }

  /// Whether there are as many logits as scores: numbers that are spelled out may be broadcast.
  private func hasOneFromEach(_ found: Found) -> Bool {
    if let logits = bounds.count(found.logits), let scores = bounds.count(found.scores) { return logits == scores }
    var value: ValueID? = found.scores
    while let node = producer(value), node.onlyMoves { value = node.input(0) }
    return ["Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid"].contains(producer(value)?.operation)
  }

  private func ending(_ output: ValueID, _ depth: Int) -> Found {
    let facts = bounds.of(output)
    let value = moved(output)
    if let node = producer(value) {
      if let logits = softmaxed(node) {
        let isExclusive = shape(output) == nil || isWhole(output, facts) || isExponentialOfWhole(node)
        if isExclusive || isWhole(value, bounds.of(value)) {
          // What is cut off need not come to 1 any more.
          return Found(
            kind: isExclusive ? .probabilities : .independentProbabilities, logits: logits,
            link: cut(.softmax, before: output), scores: output)
        }
        // Several that are exclusive among themselves: no one normalisation makes them of all logits.
        return Found(kind: .independentProbabilities, logits: output, scores: output)
      }
      if let logits = sigmoid(node) {
        return Found(
          kind: .independentProbabilities, logits: logits, link: cut(link(node), before: output), scores: output)
      }
      if let found = logarithm(node, output, depth) { return found }
    }
    if facts.isShare || facts.range.lowerBound >= -1 && facts.range.upperBound <= 1.0001 && isWhole(output, facts) {
      // Rounding may take a sum of shares just past 1. Differences of what falls with the class come to 1 as well.
      return Found(
        kind: isWhole(output, facts) ? .probabilities : .independentProbabilities, logits: output, scores: output)
    }
    return multiple(value, depth) ?? Found(kind: nil, logits: output, scores: output)
  }

  /// Whether the numbers of `output` are the largest of others, by their rank.
  func isRanked(_ output: ValueID) -> Bool { producer(moved(output))?.operation == "TopK" }

  /// Whether an image's numbers come to 1.
  private func isWhole(_ value: ValueID, _ facts: ValueBounds.Facts) -> Bool {
    guard let mean = facts.mean?.known, let count = bounds.count(value) else { return false }
    return abs(mean * count / Double(max(1, rows)) - 1) < 1e-3
  }

  /// Whether `node` is the exponential of a log-softmax over all that an image has.
  private func isExponentialOfWhole(_ node: Node) -> Bool {
    guard node.operation == "Exp", let source = node.input(0), let inner = producer(moved(source)) else { return false }
    if inner.operation == "LogSoftmax" { return whole(inner) != nil }
    return logSums(inner).flatMap { bounds.count($0) } == Double(max(1, rows))
  }

  /// Probabilities times a factor: percent. Their logarithms times a factor, of any sign, and a number: negative
  /// log-likelihoods, bits, decibels. To take the softmax of these would give the probabilities of another model, of
  /// negative ones in the opposite order.
  private func multiple(_ value: ValueID, _ depth: Int) -> Found? {
    guard depth < Self.mostSteps, let node = producer(value) else { return nil }
    if ["Round", "Floor", "Ceil"].contains(node.operation) {
      return node.input(0).flatMap { multiple(moved($0), depth + 1) }
    }
    guard let (inner, factor, offset) = affine(node, of: value) else { return nil }
    var found = find(inner, depth: depth + 1)
    switch found.kind {
    case .logProbabilities: break
    case .probabilities where offset == 0: break
    case .independentProbabilities where offset == 0:
      if bounds.count(inner) == Double(max(1, rows)) {
        // One number from 0 to 100, or to 5, is what the model tells.
        return Found(kind: .values, logits: value, scores: value)
      }
      guard factor == -1 || abs(abs(factor) - 100) < 1e-3 else { return nil }
    default: return nil
    }
    found.factor *= factor
    found.offset = factor * found.offset + offset
    return found
  }

  /// `value` as `factor` times another of as many numbers, and `offset`.
  private func affine(_ node: Node, of value: ValueID) -> (inner: ValueID, factor: Double, offset: Double)? {
    guard let first = node.input(0) else { return nil }
    if node.operation == "Neg" || node.operation == "Abs" && bounds.of(first).range.upperBound <= 0 {
      return (first, -1, 0)
    }
    guard node.inputs.count == 2,
      let place = [1, 0].first(where: { bounds.uniform(node.input($0)) != nil }), let inner = node.input(1 - place),
      let number = bounds.uniform(node.input(place)), bounds.count(inner) == bounds.count(value)
    else { return nil }
    switch (node.operation, place) {
    case ("Mul", _): return number == 0 ? nil : (inner, number, 0)
    case ("Div", 1): return number == 0 ? nil : (inner, 1 / number, 0)
    case ("Add", _): return (inner, 1, number)
    case ("Sub", 1): return (inner, 1, -number)
    case ("Sub", _): return (inner, -1, number)
    default: return nil
    }
  }

  func producer(_ value: ValueID?) -> Node? { value.flatMap { producers[$0] }.map { graph.nodes[$0] } }

  /// `value` before all nodes that change neither its numbers nor, but for extents of 1, their order.
  func moved(_ value: ValueID) -> ValueID {
    var current = value
    while let node = producer(current), let source = node.onlyMoves ? node.input(0) : unchanged(node) {
      current = source
    }
    return current
  }

  /// What a node leaves as it is: x · 1, x + 0, the larger of a share and a small number.
  private func unchanged(_ node: Node) -> ValueID? {
    guard let x = node.input(0) else { return nil }
    switch node.operation {
    case "Relu", "Abs": return bounds.of(x).range.lowerBound >= 0 ? x : nil
    case "Div", "Sub": return bounds.uniform(node.input(1)) == (node.operation == "Div" ? 1 : 0) ? x : nil
    case "Mul", "Add", "Max", "Min":
      guard node.inputs.count == 2,
        let place = [1, 0].first(where: { bounds.uniform(node.input($0)) != nil }),
        let number = bounds.uniform(node.input(place)), let other = node.input(1 - place)
      else { return nil }
      switch node.operation {
      case "Mul": return number == 1 ? other : nil
      case "Add": return number == 0 ? other : nil
      case "Max": return bounds.of(other).range.lowerBound >= number - 1e-3 ? other : nil
      default: return bounds.of(other).range.upperBound <= number + 1e-3 ? other : nil
      }
    default: return nil
    }
  }

  /// `link`, cut off as the Clips do between what it makes and `output`.
  private func cut(_ link: Link, before output: ValueID) -> Link {
    var link = link
    var value = output
    while let node = producer(value), let source = node.onlyMoves ? node.input(0) : unchanged(node) {
      if node.operation == "Clip" {
        link.bounds = link.bounds.clamped(to: bounds.of(value).range)
      }
      value = source
    }
    return link
  }

  /// Of a node that `sigmoid` knows.
  private func link(_ node: Node) -> Link {
    guard node.operation == "HardSigmoid" else { return .sigmoid }
    let (slope, offset) = (try? node.float("alpha", default: 0.2), try? node.float("beta", default: 0.5))
    return Link(function: .hardSigmoid(slope: Double(slope ?? 0.2), offset: Double(offset ?? 0.5)))
  }

  func maker(_ value: ValueID?, _ operations: String...) -> Node? {
    guard let value, let node = producer(moved(value)), operations.contains(node.operation) else { return nil }
    return node
  }

  private func logarithm(_ node: Node, _ output: ValueID, _ depth: Int) -> Found? {
    if node.operation == "LogSoftmax" {
      guard let logits = whole(node) else { return Found(kind: .logProbabilities, logits: output, scores: output) }
      return Found(kind: .logProbabilities, logits: logits, link: .softmax, scores: output)
    }
    // z − log Σ exp(z), or what comes first less the other
    for scale in [1.0, -1] {
      guard let logits = logSoftmax(node, isReversed: scale < 0) else { continue }
      let sums = logSums(node, isReversed: scale < 0).flatMap { bounds.count($0) }
      let found = Found(kind: .logProbabilities, logits: logits, link: .softmax, scores: output, scale: scale)
      return sums == nil || sums == Double(max(1, rows)) ? found : found.withoutLogits
    }
    if node.operation == "Log", depth < Self.mostSteps, let source = node.input(0) {
      let inner = find(source, depth: depth + 1)
      guard inner.kind == .probabilities || inner.kind == .independentProbabilities else { return nil }
      // The sigmoid of an independent one's logit is no function of its logarithm's softmax.
      let isSoftmax = inner.kind == .probabilities && inner.link != nil
      return Found(
        kind: .logProbabilities, logits: isSoftmax ? inner.logits : output, link: isSoftmax ? inner.link : nil,
        scores: output)
    }
    // −log(1 + exp(−z)), the logarithm of a sigmoid
    if let inner = maker(negated(node.output(0)), "Softplus"), negated(inner.input(0)) != nil {
      return Found(kind: .logProbabilities, logits: output, scores: output)
    }
    return nil
  }

  /// The logits of a LogSoftmax over all that an image has.
  private func whole(_ node: Node) -> ValueID? {
    guard let source = node.input(0), let shape = shape(source), shape.count > 1,
      let axis = try? node.int("axis", default: graph.opset(of: node) < 13 ? 1 : -1)
    else { return node.input(0) }
    let first = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(first) else { return source }
    let together = graph.opset(of: node) < 13 ? shape[first...].reduce(1, *) : shape[first]
    return together * max(1, rows) == shape.reduce(1, *) ? source : nil
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
