import Graph

/// Gradients of what `Binary` computes: the partial derivatives, summed over the axes along which an operand repeats.
enum BinaryGradients {
  static let add = rule { _, _, _, _, dy, _ in dy }
  static let subtract = rule { e, _, _, _, dy, i in i == 0 ? dy : try e("Neg", dy) }
  static let multiply = rule { e, a, b, _, dy, i in try e.multiply(dy, i == 0 ? b : a) }
  /// d(a/b)/db = −(a/b)/b
  static let divide = rule { e, _, b, y, dy, i in
    let quotient = try e.divide(dy, b)
    return i == 0 ? quotient : try e("Neg", e.multiply(quotient, y))
  }
  static let prelu = rule { e, x, slope, _, dy, i in
    let isNegative = try e("Less", x, e.constant(Float(0)))
    return i == 0
      ? try e.pick(isNegative, e.multiply(dy, slope), else: dy)
      : try e.pick(isNegative, e.multiply(dy, x), else: e.constant(Float(0)))
  }
  /// da = b·a^(b−1), db = y·ln a, which is 0 where a is 0.
  static let power = rule { e, a, b, y, dy, i in
    if i == 0 { return try e.multiply(dy, e.multiply(b, e("Pow", a, e.adding(-1, to: b)))) }
    let logarithm = try e.pick(e("Greater", a, e.constant(Float(0))), e("Log", a), else: e.constant(Float(0)))
    return try e.multiply(dy, e.multiply(y, logarithm))
  }
  /// d(a − b·⌊a/b⌋); for fmod the quotient is rounded towards zero.
  static let remainder = rule { e, a, b, y, dy, i in
    if i == 0 { return dy }
    return try e("Neg", e.multiply(dy, e.divide(e.subtract(a, y), b)))
  }

  /// Of any number of operands; the gradient goes to those that are the result, in equal parts, as PyTorch's does.
  static let extremum = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    let y = try e.output(node)
    var masks: [ValueID] = []
    for i in node.inputs.indices {
      let isResult = try e("Equal", e.input(node, i), y)
      masks.append(try e.pick(isResult, e.constant(Float(1)), else: e.constant(Float(0))))
    }
    let count = try masks.dropFirst().reduce(masks[0]) { try e.add($0, $1) }
    let share = try e.divide(dy, count)
    return try masks.indices.map { i in
      guard e.isActive(node, i) else { return nil }
      return try e.sum(e.multiply(share, masks[i]), to: e.shape(e.input(node, i)))
    }
  }

  static let sum = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    return try node.inputs.indices.map { try e.sum(dy, to: e.shape(e.input(node, $0))) }
  }

  static let mean = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    let share = try e.scaled(dy, by: 1 / Float(node.inputs.count))
    return try node.inputs.indices.map { try e.sum(share, to: e.shape(e.input(node, $0))) }
  }

  /// `partial` gives dy times the derivative by operand `i`, at the shape of the result y.
  private static func rule(
    _ partial:
      @escaping @Sendable (
        inout Emitter, _ a: ValueID, _ b: ValueID, _ y: ValueID, _ dy: ValueID, _ i: Int
      ) throws -> ValueID
  ) -> GradientRule {
    .emitted { e, node, gradients in
      guard let dy = gradients[0] else { return [] }
      let (a, b, y) = (try e.input(node, 0), try e.input(node, 1), try e.output(node))
      return try [a, b].enumerated().map { i, operand in
        try e.isActive(node, i) ? e.sum(partial(&e, a, b, y, dy, i), to: e.shape(operand)) : nil
      }
    }
  }
}
