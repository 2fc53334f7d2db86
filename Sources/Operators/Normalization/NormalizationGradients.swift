import Graph
import Tensors

/// Gradients of normalisations and of the softmax family.
enum NormalizationGradients {
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
    let axes = rank == 0 ? [] : isFlattening ? Array(axis..<rank) : [axis]
    return try body(&e, e.output(node), dy, axes)
  }

  /// By given statistics: dy·γ/√(σ² + ε), by channel.
  static let batch = GradientRule.unary { e, node, dy in
    let x = try e.input(node, 0)
    guard try !node.flag("training_mode") else {
      throw Failure(.unsupported, "the gradient by the statistics of the batch itself is not supported")
    }
    let channels = try e.shape(e.input(node, 1)) + [Int](repeating: 1, count: e.shape(x).count - 2)
    let variance = try e.adding(node.float("epsilon", default: 1e-5), to: e.input(node, 4))
    let factor = try e.divide(e.input(node, 1), e("Sqrt", variance))
    return try e.multiply(dy, e.reshape(factor, channels))
  }
}
