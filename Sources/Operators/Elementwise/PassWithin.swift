import Graph
import Kernels
import Tensors

/// `limpid.PassWithin`(x, y) with `low` and `high`: x where `low` < y < `high`, 0 elsewhere and where y is NaN. The
/// derivative of what clamps to these bounds, in one pass over memory.
enum PassWithin {
  static let name = "PassWithin"
  static let definitions = [OperatorDefinition(name, domain: "limpid", plan: plan).local(.image)]

  private static func plan(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    try request.require(1, .float32)
    let operands = [try request.input(0), try request.input(1)]
    guard operands[0].shape == operands[1].shape else {
      throw Failure(.internal, "it passes \(operands[0].shape) by \(operands[1].shape)")
    }
    let low = try request.node.float("low", default: -.infinity)
    let high = try request.node.float("high", default: .infinity)
    let layout = operands[1].layout
    let (kernels, count) = (request.kernels, operands[0].shape.count)
    return Step(
      inputs: [layout, layout], outputs: [Operand(.float32, operands[0].shape, layout: layout)], overwritable: [0, 1]
    ) {
      kernels.passWithin(low, high, $0.input(0), $0.input(1), into: $0.output(), count: count, $0.parallel)
    }
  }
}

extension Emitter {
  /// `x` where `low` < y < `high`, 0 elsewhere.
  public mutating func pass(
    _ x: ValueID, where y: ValueID, isAbove low: Float, below high: Float = .infinity
  ) throws -> ValueID {
    try self(
      PassWithin.name, x, y, domain: "limpid", attributes: ["low": .float(low), "high": .float(high)])
  }
}
