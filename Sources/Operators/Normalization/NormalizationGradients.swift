import Graph
import Tensors

/// Gradients of what subtracts means and divides by deviations: Batch-, Layer-, Instance-, Group- and
/// MeanVarianceNormalization; and of RMSNormalization.
enum NormalizationGradients {
  /// By given statistics: dy·γ/√(σ² + ε), by channel; or by those of the batch itself.
  static let batch = GradientRule.emitted { e, node, gradients in
    guard gradients.dropFirst().allSatisfy({ $0 == nil }) else {
      throw Failure(.unsupported, "the gradient of its running statistics is not supported")
    }
    guard let dy = gradients.first ?? nil else { return [] }
    let (x, scale) = (try e.input(node, 0), try e.input(node, 1))
    let shape = try e.shape(x)
    let channels = try e.shape(scale) + [Int](repeating: 1, count: shape.count - 2)
    let axes = shape.indices.filter { $0 != 1 }
    let epsilon = try node.float("epsilon", default: 1e-5)
    func bySums(_ e: inout Emitter, _ i: Int, _ value: ValueID) throws -> ValueID {
      try e.reshape(e.reduce("ReduceSum", value, axes: axes), e.shape(e.input(node, i)))
    }
    let weighted = try e.multiply(dy, e.reshape(scale, channels))
    var results = [ValueID?](repeating: nil, count: 5)
    if e.isActive(node, 2) { results[2] = try bySums(&e, 2, dy) }
    if try node.flag("training_mode") {
      let moments = try e.moments(x, axes: axes, epsilon: epsilon)
      if e.isActive(node, 0) { results[0] = try e.standardization(weighted, moments, axes: axes) }
      if e.isActive(node, 1) { results[1] = try bySums(&e, 1, e.multiply(dy, moments.standardized)) }
      return results
    }
    let variance = try e.reshape(e.adding(epsilon, to: e.input(node, 4)), channels)
    let inverse = try e("Reciprocal", e("Sqrt", variance))
    results[0] = try e.multiply(dy, e.multiply(e.reshape(scale, channels), inverse))
    if let gradient = results[0], e.isActive(node, 3) { results[3] = try bySums(&e, 3, e("Neg", gradient)) }
    guard e.isActive(node, 1) || e.isActive(node, 4) else { return results }
    let standardized = try e.multiply(e.subtract(x, e.reshape(e.input(node, 3), channels)), inverse)
    if e.isActive(node, 1) { results[1] = try bySums(&e, 1, e.multiply(dy, standardized)) }
    // −½·γ·(x − μ)/(σ² + ε)^(3/2)
    let slope = try e.scaled(e.divide(e.multiply(weighted, standardized), variance), by: -0.5)
    if e.isActive(node, 4) { results[4] = try bySums(&e, 4, slope) }
    return results
  }

  /// Outputs 1 and 2 are means and inverse deviations.
  static let layer = GradientRule.emitted { e, node, gradients in
    let x = try e.input(node, 0)
    let shape = try e.shape(x)
    let axis = try e.request(node).axis(node.int("axis", default: -1), rank: shape.count)
    let axes = Array(axis..<shape.count)
    let moments = try e.moments(x, axes: axes, epsilon: node.float("epsilon", default: 1e-5))
    var results = [ValueID?](repeating: nil, count: 3)
    var parts: [ValueID] = []
    if let dy = gradients.first ?? nil {
      let dimensions = Array(shape[axis...])
      let weighted = node.input(1) != nil ? try e.multiply(dy, e.reshape(e.input(node, 1), dimensions)) : dy
      if e.isActive(node, 0) { parts.append(try e.standardization(weighted, moments, axes: axes)) }
      for (i, value) in [(1, try e.multiply(dy, moments.standardized)), (2, dy)] where e.isActive(node, i) {
        results[i] = try e.reshape(e.sum(value, to: dimensions), e.shape(e.input(node, i)))
      }
    }
    let share = 1 / Float(max(1, shape[axis...].reduce(1, *)))
    if gradients.count > 1, let mean = gradients[1] {
      parts.append(try e.expand(e.scaled(mean, by: share), shape))
    }
    if gradients.count > 2, let inverse = gradients[2] {
      let square = try e.multiply(moments.inverse, moments.inverse)
      parts.append(try e.multiply(e.multiply(inverse, square), e.scaled(moments.standardized, by: -share)))
    }
    results[0] = try parts.first.map { first in try parts.dropFirst().reduce(first) { try e.add($0, $1) } }
    return results
  }

  /// y = γ·x·r, r = 1/√(mean x² + ε): r·(g − x·r²·mean(g·x)) for g = γ·dy.
  static let rootMeanSquare = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
    let x = try e.input(node, 0)
    let shape = try e.shape(x)
    let axis = try e.request(node).axis(node.int("axis", default: -1), rank: shape.count)
    let axes = Array(axis..<shape.count)
    let square = try e.reduce("ReduceMean", e.multiply(x, x), axes: axes)
    let r = try e("Reciprocal", e("Sqrt", e.adding(node.float("epsilon", default: 1e-5), to: square)))
    let dimensions = Array(shape[axis...])
    let g = node.input(1) != nil ? try e.multiply(dy, e.reshape(e.input(node, 1), dimensions)) : dy
    let mean = try e.reduce("ReduceMean", e.multiply(g, x), axes: axes)
    let gradient = try e.multiply(r, e.subtract(g, e.multiply(x, e.multiply(e.multiply(r, r), mean))))
    guard e.isActive(node, 1) else { return [gradient] }
    let byScale = try e.sum(e.multiply(dy, e.multiply(x, r)), to: dimensions)
    return [gradient, try e.reshape(byScale, e.shape(e.input(node, 1)))]
  }

  static let instance = grouped { e, node in
    let shape = try e.shape(e.input(node, 0))
    return shape.count > 1 ? shape[1] : 1
  }

  static let group = grouped { _, node in try node.int("num_groups", default: 1) }

  /// Each group of channels of each sample by its own moments; a scale and a shift for each channel or each group.
  private static func grouped(_ count: @escaping @Sendable (Emitter, Node) throws -> Int) -> GradientRule {
    .emitted { e, node, gradients in
      guard let dy = gradients.first ?? nil else { return [] }
      let x = try e.input(node, 0)
      let shape = try e.shape(x)
      let groups = try count(e, node)
      let (samples, channels) = (shape[0], shape[1])
      let width = shape[2...].reduce(channels / max(1, groups), *)
      let moments = try e.moments(
        e.reshape(x, [samples, groups, width]), axes: [2], epsilon: node.float("epsilon", default: 1e-5))
      /// A parameter as [channels, 1, …].
      func byChannel(_ e: inout Emitter, _ i: Int) throws -> ValueID {
        let value = try e.input(node, i)
        let count = try e.operand(value).shape.count
        let all = try e.expand(e.reshape(value, [count, 1]), [count, channels / max(1, count)])
        return try e.reshape(all, [channels] + shape[2...].map { _ in 1 })
      }
      var results = [ValueID?](repeating: nil, count: 3)
      if e.isActive(node, 0) {
        let weighted = try e.reshape(e.multiply(dy, byChannel(&e, 1)), [samples, groups, width])
        results[0] = try e.reshape(e.standardization(weighted, moments, axes: [2]), shape)
      }
      for i in 1...2 where e.isActive(node, i) {
        let parameter = try e.operand(e.input(node, i)).shape
        let value = try i == 1 ? e.multiply(dy, e.reshape(moments.standardized, shape)) : dy
        let rows = try e.reshape(value, [samples, parameter.count, width * groups / max(1, parameter.count)])
        results[i] = try e.reshape(e.reduce("ReduceSum", rows, axes: [0, 2]), parameter.dimensions)
      }
      return results
    }
  }

  static let meanVariance = GradientRule.unary { e, node, dy in
    let x = try e.input(node, 0)
    let axes = try e.request(node).axes(node.ints("axes") ?? [0, 2, 3], rank: e.shape(x).count)
    return try e.standardization(dy, e.moments(x, axes: axes, epsilon: 1e-18), axes: axes)
  }
}

extension Emitter {
  /// (x − μ)/√(σ² + ε) over `axes`, and 1/√(σ² + ε).
  fileprivate mutating func moments(
    _ x: ValueID, axes: [Int], epsilon: Float
  ) throws -> (standardized: ValueID, inverse: ValueID) {
    let centered = try subtract(x, reduce("ReduceMean", x, axes: axes))
    let variance = try reduce("ReduceMean", multiply(centered, centered), axes: axes)
    let inverse = try self("Reciprocal", self("Sqrt", adding(epsilon, to: variance)))
    return (try multiply(centered, inverse), inverse)
  }

  /// The gradient by x of x̂ = (x − μ)/√(σ² + ε), that of x̂ being `g`: (g − mean g − x̂·mean(g·x̂))/√(σ² + ε).
  fileprivate mutating func standardization(
    _ g: ValueID, _ moments: (standardized: ValueID, inverse: ValueID), axes: [Int]
  ) throws -> ValueID {
    let along = try multiply(
      moments.standardized, reduce("ReduceMean", multiply(g, moments.standardized), axes: axes))
    let centered = try subtract(g, reduce("ReduceMean", g, axes: axes))
    return try multiply(subtract(centered, along), moments.inverse)
  }
}
