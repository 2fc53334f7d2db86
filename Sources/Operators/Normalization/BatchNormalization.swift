import Graph
import Kernels
import Parallel
import Tensors

/// BatchNormalization: by statistics that are given, or of the batch itself. In our own domain, by given statistics
/// only, with an activation as an attribute; there the channels of further inputs follow those of the first.
enum BatchNormalization {
  static let definitions = ["", "limpid"].map {
    OperatorDefinition("BatchNormalization", domain: $0, plan: plan).gradient(NormalizationGradients.batch)
      .local {
        if try $0.node.flag("training_mode") { return [] }
        return parts($0).count > 1 ? [.pixel, .image] : .element
      }
  }

  /// Which inputs have the channels.
  private static func parts(_ request: Request) -> [Int] {
    request.node.domain == "limpid" ? [0] + Array(request.inputs.indices.dropFirst(5)) : [0]
  }

  private static func plan(_ request: Request) throws -> Step {
    let parts = parts(request)
    for i in Array(0..<5) + parts { try request.require(i, .float32) }
    let operands = try parts.map { try request.input($0) }
    guard operands[0].shape.rank >= 2 else {
      throw Failure(.invalidModel, "input \(operands[0].shape); expected [N, C, ...]")
    }
    let x = try Concat.shape(operands, operands[0], 1)
    let channels = x[1]
    for i in 1..<5 {
      let shape = try request.input(i).shape
      guard shape == [channels] else {
        throw Failure(.invalidModel, "input \(i) has shape \(shape); expected [\(channels)]")
      }
    }
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    if try request.node.flag("training_mode") { return try planBatch(request, x, epsilon) }
    let activation = try Activation.fused(into: request.node)
    let layout: Layout = x.rank >= 3 ? .channelsLast : .standard
    let parameters = try (1..<5).compactMap { try request.input($0).constant }
    let known =
      parameters.count < 4
      ? nil
      : try request.weights.packed(parameters, as: "scale and shift \(epsilon)", byteCount: 8 * channels) {
        let affine = ChannelAffine(parameters[0], parameters[1], parameters[2], parameters[3], epsilon: epsilon)
        return try Tensor(affine.scale + affine.shift, [2 * channels]).storage
      }
    let kernels = request.kernels
    let rows = channels == 0 ? 0 : x.count / channels
    var layouts = request.standardLayouts
    for part in parts { layouts[part] = layout }
    let widths = operands.map { $0.shape[1] }
    return Step(
      inputs: layouts, outputs: [Operand(.float32, x, layout: layout)],
      workspace: known == nil ? 8 * channels : 0, overwritable: parts.count == 1 ? [0] : []
    ) { run in
      let affine = (known?.base ?? run.workspace).assumingMemoryBound(to: Float.self)
      if known == nil { fold(run, channels, epsilon, into: affine) }
      kernels.scaleColumns(
        rows: rows, zip(parts, widths).map { (run.input($0), $1) }, scale: affine, shift: affine + channels,
        activation, into: run.output(), run.parallel)
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

  /// With `training_mode`: by mean and variance of `x` itself, which is how exporters write the standardisation of
  /// weights (NFNets). Outputs 1 and 2 are the given statistics, moved towards these.
  private static func planBatch(_ request: Request, _ x: Shape, _ epsilon: Float) throws -> Step {
    let kept = Double(try request.node.float("momentum", default: 0.9))
    let (samples, channels) = (x[0], x[1])
    let pixels = x.dimensions[2...].reduce(1, *)
    let areStatisticsWanted = request.wanted.dropFirst().contains(true)
    let statistic = Operand(.float32, [channels])
    return Step(
      inputs: request.standardLayouts,
      outputs: [Operand(.float32, x)] + (areStatisticsWanted ? [statistic, statistic] : []), overwritable: [0]
    ) { run in
      let (source, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
      let parameters = (0..<5).map { run.input($0, as: Float.self) }
      let statistics = areStatisticsWanted ? (1...2).map { run.output($0, as: Float.self) } : []
      run.parallel.forEach(channels, grain: max(1, 16384 / max(1, samples * pixels))) { range in
        for c in range {
          let rows = (0..<samples).lazy.map { ($0 * channels + c) * pixels }
          let (mean, variance) = moments(source, rows, pixels)
          let factor = Double(parameters[1][c]) / (variance + Double(epsilon)).squareRoot()
          let shift = Double(parameters[2][c]) - mean * factor
          for row in rows {
            for i in row..<row + pixels { target[i] = Float(Double(source[i]) * factor + shift) }
          }
          for (k, now) in zip(statistics.indices, [mean, variance]) {
            statistics[k][c] = Float(Double(parameters[3 + k][c]) * kept + now * (1 - kept))
          }
        }
      }
    }
  }

  /// Mean and variance of the pieces of `x` that begin at `starts`.
  private static func moments(
    _ x: UnsafePointer<Float>, _ starts: some Collection<Int>, _ length: Int
  ) -> (mean: Double, variance: Double) {
    let count = Double(starts.count * length)
    var sum = 0.0
    for start in starts {
      for i in start..<start + length { sum += Double(x[i]) }
    }
    let mean = sum / count
    var squares = 0.0
    for start in starts {
      for i in start..<start + length { squares += (Double(x[i]) - mean) * (Double(x[i]) - mean) }
    }
    return (mean, squares / count)
  }
}
