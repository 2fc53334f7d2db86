public import Graph
import Kernels
import Tensors

extension Conv {
  /// Says that a node of our own domain writes the largest of 2×2 outputs.
  static let pooled = "pooled"
}

extension Request {
  /// The convolution that writes what `pool` makes of the result of this one, or nil where there is none: it takes
  /// windows of 2×2 side by side, of convolutions by Winograd's algorithm, whose patches they divide.
  public func pooled(by pool: Request) throws -> Node? {
    guard node.operation == "Conv", !has(Conv.residual), pool.node.operation == "MaxPool", pool.node.domain.isEmpty,
      try !node.flag(Conv.pooled), try input(0).shape.rank == 4
    else { return nil }
    let geometry = try Conv.Geometry(self)
    let (p, output) = try Pool.geometry(pool)
    guard kernels.pools(kernels.packing(geometry.convolution, known: try input(1).constant != nil)),
      (p.kernelHeight, p.kernelWidth, p.strideY, p.strideX) == (2, 2, 2, 2),
      (p.padTop, p.padLeft, p.dilationY, p.dilationX) == (0, 0, 1, 1), output == geometry.halved
    else { return nil }
    var joined = node.owned
    joined.attributes[Conv.pooled] = .int(1)
    joined.outputs = pool.node.outputs
    return joined
  }
}
