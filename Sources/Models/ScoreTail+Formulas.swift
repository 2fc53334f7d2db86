import Graph

/// Softmaxes, their logarithms and sigmoids, as they are written out in other operators.
extension ScoreTail {
  /// z of softmax(z): the operator, exp(z) / Σ exp(z), or the exponential of its logarithm.
  func softmaxed(_ node: Node) -> ValueID? {
    switch node.operation {
    case "Softmax": return node.input(0)
    case "Exp":
      guard let source = node.input(0), let inner = producer(moved(source)) else { return nil }
      return inner.operation == "LogSoftmax" ? inner.input(0) : logSoftmax(inner)
    case "LpNormalization":
      guard (try? node.int("p", default: 2)) == 1 else { return nil }
      return shifted(exponent(node.input(0)))
    case "Div": return softmax(node.input(0), node.input(1))
    case "Mul":
      return [(0, 1), (1, 0)].lazy.compactMap { a, b in inverted(node.input(b)).flatMap { softmax(node.input(a), $0) }
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
    if let power = maker(value, "Exp") { return power.input(0) }
    guard let power = maker(value, "Pow"), let base = bounds.uniform(power.input(0)), abs(base - 2.718281828) < 1e-4
    else {
      return nil
    }
    return power.input(1)
  }

  /// What `value` is one over.
  private func inverted(_ value: ValueID?) -> ValueID? {
    if let node = maker(value, "Reciprocal") { return node.input(0) }
    if let node = maker(value, "Pow"), isAll(-1, node.input(1)) { return node.input(0) }
    if let node = maker(value, "Div"), isAll(1, node.input(0)) { return node.input(1) }
    return nil
  }

  /// z of z − log Σ exp(z), z perhaps less its maximum; or of z − (max + log Σ exp(z − max)). `isReversed`: of what
  /// is subtracted less z.
  func logSoftmax(_ node: Node, isReversed: Bool = false) -> ValueID? {
    guard node.operation == "Sub", let z = node.input(isReversed ? 1 : 0),
      let sums = logSums(node, isReversed: isReversed), let sum = producer(moved(sums)), let source = sum.input(0)
    else { return nil }
    let summed = sum.operation == "ReduceLogSumExp" ? source : exponent(source)
    return summed.map(shifted) == shifted(z) ? shifted(z) : nil
  }

  /// What a subtraction takes from z: the sums, or their logarithms where an operator makes these at once.
  func logSums(_ node: Node, isReversed: Bool = false) -> ValueID? {
    guard node.operation == "Sub" else { return nil }
    var below = node.input(isReversed ? 0 : 1)
    if let sum = maker(below, "Add"),
      let log = [0, 1].first(where: { maker(sum.input(1 - $0), "ReduceMax") != nil }).flatMap({ sum.input($0) })
    {
      below = log
    }
    if maker(below, "ReduceLogSumExp", "ReduceLogSum") != nil { return below }
    guard let log = maker(below, "Log"), maker(log.input(0), "ReduceSum", "ReduceL1") != nil else { return nil }
    return log.input(0)
  }

  /// z of sigmoid(z): the operator, 1 / (1 + exp(−z)), exp(z) / (1 + exp(z)), or 1 − sigmoid(−z).
  func sigmoid(_ node: Node) -> ValueID? {
    switch node.operation {
    case "Sigmoid", "HardSigmoid": return node.input(0)
    case "Reciprocal": return onePlusExponential(node.input(0)).flatMap { negated($0) }
    case "Pow" where isAll(-1, node.input(1)): return onePlusExponential(node.input(0)).flatMap { negated($0) }
    case "Sub" where isAll(1, node.input(0)):
      return maker(node.input(1), "Sigmoid").flatMap { negated($0.input(0)) }
    case "Div":
      guard let power = onePlusExponential(node.input(1)) else { return nil }
      if isAll(1, node.input(0)) { return negated(power) }
      return exponent(node.input(0)) == power ? power : nil
    default: return nil
    }
  }

  /// x of 1 + exp(x)
  private func onePlusExponential(_ value: ValueID?) -> ValueID? {
    guard let sum = maker(value, "Add") else { return nil }
    return [(0, 1), (1, 0)].lazy.compactMap { a, b in isAll(1, sum.input(a)) ? exponent(sum.input(b)) : nil }.first
  }

  /// What `value` is the negative of.
  func negated(_ value: ValueID?) -> ValueID? {
    if let node = maker(value, "Neg") { return node.input(0) }
    if let node = maker(value, "Mul") {
      return [(0, 1), (1, 0)].first { isAll(-1, node.input($0.0)) }.flatMap { node.input($0.1) }
    }
    if let node = maker(value, "Sub"), isAll(0, node.input(0)) { return node.input(1) }
    return nil
  }

  private func isAll(_ number: Double, _ value: ValueID?) -> Bool {
    bounds.uniform(value.map { constants($0) == nil ? moved($0) : $0 }) == number
  }

  /// `value`, or what it is less its maximum or mean: the same softmax.
  private func shifted(_ value: ValueID?) -> ValueID? {
    guard let value else { return nil }
    if let node = maker(value, "Sub"), let z = node.input(0), isLevel(node.input(1), of: z) { return z }
    if let node = maker(value, "Add"),
      let pair = [(0, 1), (1, 0)].first(where: { a, b in
        negated(node.input(b)).map { level in node.input(a).map { isLevel(level, of: $0) } ?? false } ?? false
      })
    {
      return node.input(pair.0)
    }
    return value
  }

  /// Whether `value` is the largest number or the mean of `z`.
  private func isLevel(_ value: ValueID?, of z: ValueID) -> Bool {
    guard let node = maker(value, "ReduceMax", "ReduceMean", "TopK") else { return false }
    guard let source = node.input(0), moved(source) == moved(z) else { return false }
    return node.operation != "TopK" || bounds.integers(node.input(1)) == [1]
  }
}
