import Graph
import Tensors

/// Gradients of the softmax family, of LpNormalization and LRN.
enum NormGradients {
  /// y·(dy − Σ dy·y)
  static let softmax = GradientRule.unary { e, node, dy in
    try alongAxis(&e, node, dy) { e, y, dy, axes in
      try e.multiply(y, e.subtract(dy, e.reduce("ReduceSum", e.multiply(dy, y), axes: axes)))
    }
  }

  /// dy − exp(y)·Σ dy
  static let logSoftmax = GradientRule.unary { e, node, dy in
    try alongAxis(&e, node, dy) { e, y, dy, axes in
      try e.subtract(dy, e.multiply(e("Exp", y), e.reduce("ReduceSum", dy, axes: axes)))
    }
  }

  /// Before version 13 all axes from `axis` on count as one.
  private static func alongAxis(
    _ e: inout Emitter, _ node: Node, _ dy: ValueID,
    _ body: (inout Emitter, _ y: ValueID, _ dy: ValueID, _ axes: [Int]) throws -> ValueID
  ) throws -> ValueID {
    let rank = try e.shape(dy).count
    let isFlattening = e.graph.opset(of: node) < 13
    let axis = try e.request(node).axis(node.int("axis", default: isFlattening ? 1 : -1), rank: max(1, rank))
    if rank == 0 { return try e.zeros(like: dy) }
    return try body(&e, e.output(node), dy, isFlattening ? Array(axis..<rank) : [axis])
  }

  /// y = x/n: (dy − ∂n/∂x·Σ dy·y)/n, ∂n/∂x being y for the length and sign(x) for the sum of magnitudes. A vector of
  /// zeros is divided by 1.
  static let length = GradientRule.unary { e, node, dy in
    let (x, y) = (try e.input(node, 0), try e.output(node))
    let axis = try e.request(node).axis(node.int("axis", default: -1), rank: e.shape(x).count)
    let isSum = try node.int("p", default: 2) == 1
    let norm = try e.reduce(isSum ? "ReduceL1" : "ReduceL2", x, axes: [axis])
    let divisor = try e.pick(e("Equal", norm, e.constant(Float(0))), e.constant(Float(1)), else: norm)
    let along = try e.reduce("ReduceSum", e.multiply(dy, y), axes: [axis])
    return try e.divide(e.subtract(dy, e.multiply(isSum ? e("Sign", x) : y, along)), divisor)
  }

  /// y = x·s^−β, s = bias + α/size·Σ x² over neighbouring channels:
  /// dy·s^−β − 2αβ/size·x·Σ dy·x·s^−(β+1), the sum over those that x is a neighbour of.
  static let local = GradientRule.unary { e, node, dy in
    let x = try e.input(node, 0)
    guard let size = try node.int("size") else { throw Failure(.invalidModel, "size is missing") }
    let alpha = try node.float("alpha", default: 1e-4) / Float(size)
    let (beta, bias) = (try node.float("beta", default: 0.75), try node.float("bias", default: 1))
    let (before, after) = ((size - 1) / 2, size / 2)
    let squares = try neighbours(&e, e.multiply(x, x), after, before)
    let s = try e.adding(bias, to: e.scaled(squares, by: alpha))
    let power = try e("Pow", s, e.constant(-beta))
    let others = try neighbours(&e, e.divide(e.multiply(e.multiply(dy, x), power), s), before, after)
    return try e.subtract(e.multiply(dy, power), e.scaled(e.multiply(x, others), by: 2 * alpha * beta))
  }

  /// For each channel the sum over those that have it among the `before` before and the `after` behind them.
  private static func neighbours(_ e: inout Emitter, _ value: ValueID, _ before: Int, _ after: Int) throws -> ValueID {
    let shape = try e.shape(value)
    let channels = shape[1]
    try AxisFilters.check(taps: channels, of: min(channels, before + after + 1))
    let filters = (0..<channels).map { c in
      ResizeFilter((max(0, c - before)..<min(channels, c + after + 1)).map { ($0, 1) })
    }
    return try e.transposing([1: filters], value, to: shape)
  }
}
