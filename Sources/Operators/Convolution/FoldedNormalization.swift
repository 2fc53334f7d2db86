import Graph
import Tensors

/// What is brought into the weights of a convolution and one bias: a constant bias and batch normalisation.
struct FoldedNormalization {
  /// By output channel; nil where nothing is to be multiplied.
  private(set) var scale: [Float]?
  /// nil where there is none, or where it depends on what is fed.
  private(set) var bias: Storage?
  /// What `scale` is made of.
  private(set) var sources: [Tensor] = []
  private(set) var key = ""

  init(_ request: Request, outputs: Int) throws {
    func vector(_ i: Int) throws -> Tensor? {
      guard let tensor = try request.constant(i) else { return nil }
      guard tensor.type == .float32, tensor.shape == [outputs] else {
        throw Failure(
          .invalidModel, "input \(i) is \(tensor.type) of shape \(tensor.shape); expected float32 [\(outputs)]")
      }
      return tensor
    }
    guard request.has(3) else {
      try Self.checkFedBias(request, outputs: outputs)
      guard request.has(2), try request.input(2).constant != nil, let b = try vector(2) else { return }
      bias = try request.weights.packed([b], as: "bias", byteCount: b.byteCount) {
        try Tensor(b.array(of: Float.self), b.shape).storage
      }
      return
    }
    guard let gamma = try vector(3), let beta = try vector(4), let mean = try vector(5), let variance = try vector(6)
    else { throw Failure(.invalidModel, "a batch normalisation needs scale, bias, mean and variance") }
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    let b = try vector(2)
    let affine = ChannelAffine(gamma, beta, mean, variance, epsilon: epsilon, bias: b)
    scale = affine.scale
    sources = [gamma, variance]
    key = "epsilon \(epsilon)"
    bias = try request.weights.packed(
      [gamma, beta, mean, variance] + (b.map { [$0] } ?? []), as: "bias \(key)", byteCount: beta.byteCount
    ) {
      try Tensor(affine.shift, [outputs]).storage
    }
  }

  private static func checkFedBias(_ request: Request, outputs: Int) throws {
    guard request.has(2) else { return }
    let b = try request.input(2)
    guard b.type == .float32, b.shape == [outputs] else {
      throw Failure(.invalidModel, "the bias is \(b.type) of shape \(b.shape); expected float32 [\(outputs)]")
    }
  }
}

/// A batch normalisation at inference as `x * scale + shift` by channel, computed in double.
struct ChannelAffine: Sendable {
  let scale: [Float]
  let shift: [Float]

  /// `bias` is added to x before.
  init(_ gamma: Tensor, _ beta: Tensor, _ mean: Tensor, _ variance: Tensor, epsilon: Float, bias: Tensor? = nil) {
    let gamma = gamma.array(of: Float.self).map(Double.init)
    let beta = beta.array(of: Float.self).map(Double.init)
    let mean = mean.array(of: Float.self).map(Double.init)
    let variance = variance.array(of: Float.self).map(Double.init)
    let bias = bias?.array(of: Float.self).map(Double.init)
    let factors = gamma.indices.map { gamma[$0] / (variance[$0] + Double(epsilon)).squareRoot() }
    scale = factors.map { Float($0) }
    shift = gamma.indices.map { Float(((bias?[$0] ?? 0) - mean[$0]) * factors[$0] + beta[$0]) }
  }
}
