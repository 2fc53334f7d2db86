import Graph
import Kernels
import Parallel
import Tensors

/// BatchNormalization at inference.
enum BatchNormalization {
  static let definitions = [OperatorDefinition("BatchNormalization", plan: plan)]

  private static func plan(_ request: Request) throws -> Step {
    for i in 0..<5 { try request.require(i, .float32) }
    if try request.node.flag("training_mode") { throw Failure(.unsupported, "training_mode is not supported") }
    let x = try request.input(0)
    guard x.shape.rank >= 2 else { throw Failure(.invalidModel, "input \(x.shape); expected [N, C, ...]") }
    let channels = x.shape[1]
    for i in 1..<5 {
      let shape = try request.input(i).shape
      guard shape == [channels] else {
        throw Failure(.invalidModel, "input \(i) has shape \(shape); expected [\(channels)]")
      }
    }
    let layout: Layout = x.shape.rank >= 3 ? .channelsLast : .standard
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    let parameters = try (1..<5).compactMap { try request.input($0).constant }
    let known = parameters.count < 4
      ? nil
      : try request.weights.packed(parameters, as: "scale and shift \(epsilon)", byteCount: 8 * channels) {
        let affine = ChannelAffine(parameters[0], parameters[1], parameters[2], parameters[3], epsilon: epsilon)
        return try Tensor(affine.scale + affine.shift, [2 * channels]).storage
      }
    let kernels = request.kernels
    let rows = channels == 0 ? 0 : x.shape.count / channels
    var layouts = request.standardLayouts
    layouts[0] = layout
    return Step(
      inputs: layouts, outputs: [Operand(.float32, x.shape, layout: layout)],
      workspace: known == nil ? 8 * channels : 0, overwritable: [0]
    ) { run in
      let affine = (known?.base ?? run.workspace).assumingMemoryBound(to: Float.self)
      if known == nil { fold(run, channels, epsilon, into: affine) }
      kernels.scaleColumns(
        rows: rows, columns: channels, run.input(0), scale: affine, shift: affine + channels, into: run.output(),
        run.parallel)
    }
  }

  /// Scale and shift from parameters that are only known in the run.
  private static func fold(
    _ run: Invocation, _ channels: Int, _ epsilon: Float, into affine: UnsafeMutablePointer<Float>
  ) {
    let parameters = (1..<5).map { run.input($0, as: Float.self) }
    for c in 0..<channels {
      let factor = Double(parameters[0][c]) / (Double(parameters[3][c]) + Double(epsilon)).squareRoot()
      affine[c] = Float(factor)
      affine[channels + c] = Float(Double(parameters[1][c]) - Double(parameters[2][c]) * factor)
    }
  }
}
