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
    /// The value itself, or where it is `factor` times as large, in percent for example, the probabilities.
    var scores: ValueID
    var factor = 1.0

    var withoutLogits: Found { Found(kind: kind, logits: scores, scores: scores, factor: factor) }
  }

  private let graph: Graph
  private let producers: [ValueID: Int]
  private let shape: (ValueID) -> [Int]?
  private let constants: (ValueID) -> Tensor?
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

  private var bounds: ValueBounds {
    ValueBounds(shape: shape, constants: constants, producer: producer, opset: graph.opset(of:))
  }

  func find(_ output: ValueID) -> Found {
    let found = ending(output)
    return found.link == nil || hasOneFromEach(found) ? found : found.withoutLogits
  }

  /// The same of an output with an extent in space, whose scores at each position lie along `axis`.
  func findAlong(axis: Int, _ output: ValueID) -> Found {
    var value = output
    while let node = producer(value), ["Identity", "Cast", "Dropout"].contains(node.operation), node.onlyMoves,
      let source = input(node)
    {
      value = source
    }
    let plain = Found(kind: nil, logits: output, scores: output)
    guard let node = producer(value), let source = input(node), shape(source) == shape(output) else { return plain }
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
    while let node = producer(value), node.onlyMoves { value = input(node) }
    return ["Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid"].contains(producer(value)?.operation)
  }

  private func ending(_ output: ValueID) -> Found {
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
      if let found = logarithm(node, output) { return found }
    }
    if facts.isShare || facts.range.lowerBound >= -1 && facts.range.upperBound <= 1.0001 && isWhole(output, facts) {
      // Rounding may take a sum of shares just past 1. Differences of what falls with the class come to 1 as well.
      return Found(
        kind: isWhole(output, facts) ? .probabilities : .independentProbabilities, logits: output, scores: output)
    }
    return multiple(value) ?? Found(kind: nil, logits: output, scores: output)
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
    guard node.operation == "Exp", let source = input(node), let inner = producer(moved(source)) else { return false }
    if inner.operation == "LogSoftmax" { return whole(inner) != nil }
    return logSums(inner).flatMap { bounds.count($0) } == Double(max(1, rows))
  }

  /// Probabilities times a factor: percent.
  private func multiple(_ value: ValueID) -> Found? {
    guard let node = producer(value) else { return nil }
    if ["Round", "Floor", "Ceil"].contains(node.operation) { return input(node).flatMap { multiple(moved($0)) } }
    guard ["Mul", "Div"].contains(node.operation), node.inputs.count == 2 else { return nil }
    for (a, b) in [(0, 1), (1, 0)] where a == 0 || node.operation == "Mul" {
      guard let inner = input(node, a), let number = bounds.uniform(input(node, b)), number > 0 else { continue }
      let factor = node.operation == "Mul" ? number : 1 / number
      var found = find(inner)
      guard found.kind == .probabilities || found.kind == .independentProbabilities else { continue }
      if found.kind == .independentProbabilities, bounds.count(inner) == Double(max(1, rows)) {
        // One number from 0 to 100, or to 5, is what the model tells.
        return Found(kind: .values, logits: value, scores: value)
      }
      guard found.kind == .probabilities || abs(factor - 100) < 1e-3 else { continue }
      found.factor *= factor
      return found
    }
    return nil
  }

  private func producer(_ value: ValueID?) -> Node? { value.flatMap { producers[$0] }.map { graph.nodes[$0] } }
  private func input(_ node: Node, _ i: Int = 0) -> ValueID? { i < node.inputs.count ? node.inputs[i] : nil }

  /// `value` before all nodes that change neither its numbers nor, but for extents of 1, their order.
  private func moved(_ value: ValueID) -> ValueID {
    var current = value
    while let node = producer(current), let source = node.onlyMoves ? input(node) : unchanged(node) { current = source }
    return current
  }

  /// What a node leaves as it is: x · 1, x + 0, the larger of a share and a small number.
  private func unchanged(_ node: Node) -> ValueID? {
    guard let x = input(node) else { return nil }
    switch node.operation {
    case "Relu", "Abs": return bounds.of(x).range.lowerBound >= 0 ? x : nil
    case "Div", "Sub": return bounds.uniform(input(node, 1)) == (node.operation == "Div" ? 1 : 0) ? x : nil
    case "Mul", "Add", "Max", "Min":
      guard node.inputs.count == 2,
        let place = [1, 0].first(where: { bounds.uniform(input(node, $0)) != nil }),
        let number = bounds.uniform(input(node, place)), let other = input(node, 1 - place)
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
    while let node = producer(value), let source = node.onlyMoves ? input(node) : unchanged(node) {
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

  private func maker(_ value: ValueID?, _ operations: String...) -> Node? {
    guard let value, let node = producer(moved(value)), operations.contains(node.operation) else { return nil }
    return node
  }

  private func logarithm(_ node: Node, _ output: ValueID) -> Found? {
    if node.operation == "LogSoftmax" {
      guard let logits = whole(node) else { return Found(kind: .logProbabilities, logits: output, scores: output) }
      return Found(kind: .logProbabilities, logits: logits, link: .softmax, scores: output)
    }
    if let logits = logSoftmax(node) {
      return Found(kind: .logProbabilities, logits: logits, link: .softmax, scores: output)
    }
    if node.operation == "Log", let source = input(node) {
      let inner = find(source)
      guard inner.kind == .probabilities || inner.kind == .independentProbabilities else { return nil }
      // The sigmoid of an independent one's logit is no function of its logarithm's softmax.
      let isSoftmax = inner.kind == .probabilities && inner.link != nil
      return Found(
        kind: .logProbabilities, logits: isSoftmax ? inner.logits : output, link: isSoftmax ? inner.link : nil,
        scores: output)
    }
    // −log(1 + exp(−z)), the logarithm of a sigmoid
    if let inner = maker(negated(node.outputs.first ?? nil), "Softplus"), negated(input(inner)) != nil {
      return Found(kind: .logProbabilities, logits: output, scores: output)
    }
    return nil
  }

  /// The logits of a LogSoftmax over all that an image has.
  private func whole(_ node: Node) -> ValueID? {
    guard let source = input(node), let shape = shape(source), shape.count > 1,
      let axis = try? node.int("axis", default: graph.opset(of: node) < 13 ? 1 : -1)
    else { return input(node) }
    let first = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(first) else { return source }
    let together = graph.opset(of: node) < 13 ? shape[first...].reduce(1, *) : shape[first]
    return together * max(1, rows) == shape.reduce(1, *) ? source : nil
  }

  /// z of softmax(z): the operator, exp(z) / Σ exp(z), or the exponential of its logarithm.
  private func softmaxed(_ node: Node) -> ValueID? {
    switch node.operation {
    case "Softmax": return input(node)
    case "Exp":
      guard let source = input(node), let inner = producer(moved(source)) else { return nil }
      return inner.operation == "LogSoftmax" ? input(inner) : logSoftmax(inner)
    case "LpNormalization":
      guard (try? node.int("p", default: 2)) == 1 else { return nil }
      return shifted(exponent(input(node)))
    case "Div": return softmax(input(node), input(node, 1))
    case "Mul":
      return [(0, 1), (1, 0)].lazy.compactMap { a, b in inverted(input(node, b)).flatMap { softmax(input(node, a), $0) }
      }
      .first
    default: return nil
    }
  }

  /// exp(z) / Σ exp(z), z perhaps less its maximum.
  private func softmax(_ above: ValueID?, _ below: ValueID?) -> ValueID? {
    guard let above, let exponent = exponent(above), let sum = bounds.sum(below), moved(sum.of) == moved(above) else {
      return nil
    }
    return shifted(exponent)
  }

  /// What `value` is the exponential of.
  private func exponent(_ value: ValueID?) -> ValueID? {
    if let power = maker(value, "Exp") { return input(power) }
    guard let power = maker(value, "Pow"), let base = bounds.uniform(input(power)), abs(base - 2.718281828) < 1e-4
    else {
      return nil
    }
    return input(power, 1)
  }

  /// What `value` is one over.
  private func inverted(_ value: ValueID?) -> ValueID? {
    if let node = maker(value, "Reciprocal") { return input(node) }
    if let node = maker(value, "Pow"), isAll(-1, input(node, 1)) { return input(node) }
    if let node = maker(value, "Div"), isAll(1, input(node)) { return input(node, 1) }
    return nil
  }

  /// z of z − log Σ exp(z), z perhaps less its maximum; or of z − (max + log Σ exp(z − max)).
  private func logSoftmax(_ node: Node) -> ValueID? {
    guard node.operation == "Sub", let z = input(node), let sums = logSums(node), let sum = producer(moved(sums)),
      let source = input(sum)
    else { return nil }
    let summed = sum.operation == "ReduceLogSumExp" ? source : exponent(source)
    return summed.map(shifted) == shifted(z) ? shifted(z) : nil
  }

  /// What a subtraction takes from z: the sums, or their logarithms where an operator makes these at once.
  private func logSums(_ node: Node) -> ValueID? {
    guard node.operation == "Sub" else { return nil }
    var below = input(node, 1)
    if let sum = maker(below, "Add"),
      let log = [0, 1].first(where: { maker(input(sum, 1 - $0), "ReduceMax") != nil }).flatMap({ input(sum, $0) })
    {
      below = log
    }
    if maker(below, "ReduceLogSumExp", "ReduceLogSum") != nil { return below }
    guard let log = maker(below, "Log"), maker(input(log), "ReduceSum", "ReduceL1") != nil else { return nil }
    return input(log)
  }

  /// z of sigmoid(z): the operator, 1 / (1 + exp(−z)), exp(z) / (1 + exp(z)), or 1 − sigmoid(−z).
  private func sigmoid(_ node: Node) -> ValueID? {
    switch node.operation {
    case "Sigmoid", "HardSigmoid": return input(node)
    case "Reciprocal": return onePlusExponential(input(node)).flatMap { negated($0) }
    case "Pow" where isAll(-1, input(node, 1)): return onePlusExponential(input(node)).flatMap { negated($0) }
    case "Sub" where isAll(1, input(node)):
      return maker(input(node, 1), "Sigmoid").flatMap { negated(input($0)) }
    case "Div":
      guard let power = onePlusExponential(input(node, 1)) else { return nil }
      if isAll(1, input(node)) { return negated(power) }
      return exponent(input(node)) == power ? power : nil
    default: return nil
    }
  }

  /// x of 1 + exp(x)
  private func onePlusExponential(_ value: ValueID?) -> ValueID? {
    guard let sum = maker(value, "Add") else { return nil }
    return [(0, 1), (1, 0)].lazy.compactMap { a, b in isAll(1, input(sum, a)) ? exponent(input(sum, b)) : nil }.first
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

  private func isAll(_ number: Double, _ value: ValueID?) -> Bool {
    bounds.uniform(value.map { constants($0) == nil ? moved($0) : $0 }) == number
  }

  /// `value`, or what it is less its maximum or mean: the same softmax.
  private func shifted(_ value: ValueID?) -> ValueID? {
    guard let value else { return nil }
    if let node = maker(value, "Sub"), let z = input(node), isLevel(input(node, 1), of: z) { return z }
    if let node = maker(value, "Add"),
      let pair = [(0, 1), (1, 0)].first(where: { a, b in
        negated(input(node, b)).map { level in input(node, a).map { isLevel(level, of: $0) } ?? false } ?? false
      })
    {
      return input(node, pair.0)
    }
    return value
  }

  /// Whether `value` is the largest number or the mean of `z`.
  private func isLevel(_ value: ValueID?, of z: ValueID) -> Bool {
    guard let node = maker(value, "ReduceMax", "ReduceMean", "TopK") else { return false }
    guard let source = input(node), moved(source) == moved(z) else { return false }
    return node.operation != "TopK" || bounds.integers(input(node, 1)) == [1]
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
