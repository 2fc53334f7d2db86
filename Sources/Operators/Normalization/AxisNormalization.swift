import Graph
import Kernels
import Parallel
import Tensors

/// `limpid.Normalization`(x, scale?, shift?) with `axis` and `epsilon`: `(x - mean) / sqrt(variance + epsilon)` along
/// one axis, times a scale, plus a shift, each a constant with a number for each element of the axis: layer
/// normalisation as exporters write it in single nodes, over the last axis or over the channels.
public enum AxisNormalization {
  public static let name = "Normalization"
  static let definitions = [
    OperatorDefinition(name, domain: "limpid", plan: plan).local { try $0.locality(alongAxisOr: -1) }
  ]

  private static func plan(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let rank = x.shape.rank
    let axis = try request.axis(request.node.int("axis", default: -1), rank: rank)
    let layouts = [x.layout, .standard, .channelsLast].filter { $0.fits(rank: rank) }
    guard let layout = layouts.first(where: { $0.physicalAxis(axis, rank: rank) == rank - 1 }) else {
      throw Failure(.unsupported, "a normalisation over axis \(axis) of \(x.shape) is not supported")
    }
    for i in [1, 2] where request.has(i) {
      try request.require(i, .float32)
      let shape = try request.input(i).shape
      guard shape.count == x.shape[axis], shape.rank <= rank, shape.rank >= rank - axis,
        shape[shape.rank - (rank - axis)] == shape.count
      else { throw Failure(.unsupported, "a scale or shift of \(shape) for axis \(axis) of \(x.shape)") }
    }
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    let (hasScale, hasShift) = (request.has(1), request.has(2))
    let (kernels, columns) = (request.kernels, x.shape[axis])
    let rows = x.shape.count / max(1, columns)
    var wanted = request.standardLayouts
    wanted[0] = layout
    return Step(inputs: wanted, outputs: [Operand(.float32, x.shape, layout: layout)], overwritable: [0]) { run in
      kernels.normalizeRows(
        rows: rows, columns: columns, run.input(0), scale: hasScale ? run.input(1) : nil,
        shift: hasShift ? run.input(2) : nil, epsilon: epsilon, subtractMean: true, into: run.output(), run.parallel)
    }
  }
}
