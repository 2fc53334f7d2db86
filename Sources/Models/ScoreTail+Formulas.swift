import Graph

/// Softmaxes, their logarithms and sigmoids, as they are written out in other operators.
extension ScoreTail {
  /// z of softmax(z): the operator, exp(z) / Σ exp(z), or the exponential of its logarithm.
  func softmaxed(_ node: Node) -> ValueID? {
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

  /// z of z − log Σ exp(z), z perhaps less its maximum; or of z − (max + log Σ exp(z − max)). `isReversed`: of what
  /// is subtracted less z.
  func logSoftmax(_ node: Node, isReversed: Bool = false) -> ValueID? {
    guard node.operation == "Sub", let z = input(node, isReversed ? 1 : 0),
      let sums = logSums(node, isReversed: isReversed), let sum = producer(moved(sums)), let source = input(sum)
    else { return nil }
    let summed = sum.operation == "ReduceLogSumExp" ? source : exponent(source)
    return summed.map(shifted) == shifted(z) ? shifted(z) : nil
  }

  /// What a subtraction takes from z: the sums, or their logarithms where an operator makes these at once.
  func logSums(_ node: Node, isReversed: Bool = false) -> ValueID? {
    guard node.operation == "Sub" else { return nil }
    var below = input(node, isReversed ? 0 : 1)
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
  func sigmoid(_ node: Node) -> ValueID? {
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
  func negated(_ value: ValueID?) -> ValueID? {
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
