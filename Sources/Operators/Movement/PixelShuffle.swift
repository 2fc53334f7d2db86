import Graph
import Kernels
import Tensors

/// DepthToSpace and SpaceToDepth: transpositions of a tensor that is seen with more axes.
enum PixelShuffle {
  static let definitions = [
    OperatorDefinition("DepthToSpace", plan: planDepthToSpace).gradient(inverse("SpaceToDepth")).local(.image),
    OperatorDefinition("SpaceToDepth", plan: planSpaceToDepth).gradient(inverse("DepthToSpace")).local(.image),
  ]

  private static func inverse(_ operation: String) -> GradientRule {
    .unary { e, node, dy in try e(operation, dy, attributes: node.attributes) }
  }

  private static func planDepthToSpace(_ request: Request) throws -> Step {
    let (x, b) = try operands(request)
    guard x[1] % (b * b) == 0 else { throw Failure(.invalidModel, "\(x[1]) channels for blocks of \(b)×\(b)") }
    let depth = x[1] / (b * b)
    let isDepthFirst = try isDepthFirst(request)
    return try permuting(
      request, as: isDepthFirst ? [x[0], b, b, depth, x[2], x[3]] : [x[0], depth, b, b, x[2], x[3]],
      by: isDepthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3], to: [x[0], depth, x[2] * b, x[3] * b])
  }

  private static func planSpaceToDepth(_ request: Request) throws -> Step {
    let (x, b) = try operands(request)
    guard x[2] % b == 0, x[3] % b == 0 else {
      throw Failure(.invalidModel, "a picture of \(x[2])×\(x[3]) in blocks of \(b)×\(b)")
    }
    return try permuting(
      request, as: [x[0], x[1], x[2] / b, b, x[3] / b, b],
      by: isDepthFirst(request) ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4],
      to: [x[0], x[1] * b * b, x[2] / b, x[3] / b])
  }

  /// Whether the places in a block come before the channels among the channels of the depth.
  private static func isDepthFirst(_ request: Request) throws -> Bool {
    let mode = try request.node.string("mode", default: "DCR")
    guard mode == "DCR" || mode == "CRD" else {
      throw Failure(.invalidModel, "mode is \(quoted(mode)); expected DCR or CRD")
    }
    return mode == "DCR"
  }

  private static func operands(_ request: Request) throws -> (Shape, Int) {
    let x = try request.input(0).shape
    guard x.rank == 4, let block = try request.node.int("blocksize"), block >= 1, block <= 1 << 12 else {
      throw Failure(.invalidModel, "input \(x); expected [N, C, H, W] and a positive blocksize")
    }
    return (x, block)
  }

  private static func permuting(
    _ request: Request, as extents: [Int], by permutation: [Int], to dimensions: [Int]
  ) throws -> Step {
    let type = try request.input(0).type
    let kernels = request.kernels
    let output = Operand(type, try Shape(checking: dimensions))
    return Step(inputs: [.standard], outputs: [output]) { run in
      if output.shape.count == 0 { return }
      kernels.permute(
        run.input(0, as: UInt8.self), shape: extents, permutation: permutation, elementSize: type.byteCount,
        into: run.output(0, as: UInt8.self), run.parallel)
    }
  }
}
