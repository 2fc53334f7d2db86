import Graph
import Kernels
import Parallel
import Tensors

/// Normalisations over neighbouring axes: LayerNormalization, RMSNormalization, InstanceNormalization and
/// GroupNormalization.
enum LayerNormalization {
  static let definitions = [
    OperatorDefinition("LayerNormalization") { try planLayer($0, subtractMean: true) }
      .gradient(NormalizationGradients.layer),
    OperatorDefinition("RMSNormalization") { try planLayer($0, subtractMean: false) }
      .gradient(NormalizationGradients.rootMeanSquare),
    OperatorDefinition("InstanceNormalization") { request in
      let x = try request.input(0).shape
      return try planGroups(request, groups: x.rank > 1 ? x[1] : 1)
    }.gradient(NormalizationGradients.instance),
    OperatorDefinition("GroupNormalization") { request in
      guard let groups = try request.node.int("num_groups") else {
        throw Failure(.invalidModel, "num_groups is missing")
      }
      return try planGroups(request, groups: groups)
    }.gradient(NormalizationGradients.group),
  ]

  private static func planLayer(_ request: Request, subtractMean: Bool) throws -> Step {
    for i in request.inputs.indices where request.has(i) { try request.require(i, .float32) }
    let x = try request.input(0).shape
    let axis = try request.axis(request.node.int("axis", default: -1), rank: x.rank)
    let split = AxisSplit(x.dimensions, axes: axis..<x.rank)
    for i in 1..<3 where request.has(i) {
      let shape = try request.input(i).shape
      guard shape.count == split.axis else {
        throw Failure(.unsupported, "input \(i) has shape \(shape); supported: \(x.dimensions[axis...])")
      }
    }
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    let kernels = request.kernels
    let (hasScale, hasShift) = (request.has(1), request.has(2))
    let isMomentWanted = request.wanted.dropFirst().contains(true)
    let moment = Operand(.float32, Shape(trusted: x.dimensions[..<axis] + x.dimensions[axis...].map { _ in 1 }))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(.float32, x)] + (isMomentWanted ? [moment, moment] : []),
      overwritable: [0]
    ) { run in
      if isMomentWanted { moments(split, epsilon, run.input(0), mean: run.output(1), inverse: run.output(2)) }
      kernels.normalizeRows(
        rows: split.outer, columns: split.axis, run.input(0), scale: hasScale ? run.input(1) : nil,
        shift: hasShift ? run.input(2) : nil, epsilon: epsilon, subtractMean: subtractMean, into: run.output(),
        run.parallel)
    }
  }

  /// Means and inverse standard deviations of the rows.
  private static func moments(
    _ split: AxisSplit, _ epsilon: Float, _ x: UnsafePointer<Float>, mean: UnsafeMutablePointer<Float>,
    inverse: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<split.outer {
      let values = UnsafeBufferPointer(start: x + row * split.axis, count: split.axis)
      let average = values.reduce(0.0) { $0 + Double($1) } / Double(split.axis)
      let squares = values.reduce(0.0) { $0 + (Double($1) - average) * (Double($1) - average) }
      mean[row] = Float(average)
      inverse[row] = Float(1 / (squares / Double(split.axis) + Double(epsilon)).squareRoot())
    }
  }

  /// Each group of channels of each sample is normalised, then every channel scaled and shifted. Before version 21,
  /// GroupNormalization has a scale and a shift for each group rather than for each channel.
  private static func planGroups(_ request: Request, groups: Int) throws -> Step {
    for i in 0..<3 { try request.require(i, .float32) }
    let x = try request.input(0).shape
    guard x.rank >= 2, groups >= 1, x[1] % groups == 0 else {
      throw Failure(
        .invalidModel, "input \(x) in \(groups) groups; expected [N, C, ...] with C a multiple of the groups")
    }
    let parameters = try request.input(1).shape.count
    guard try request.input(2).shape.count == parameters, parameters == x[1] || parameters == groups else {
      throw Failure(.invalidModel, "scale and shift must have \(x[1]) elements")
    }
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    let kernels = request.kernels
    let count = x.count
    let pixels = x.dimensions[2...].reduce(1, *)
    let channels = x[1]
    let columns = channels / groups * pixels
    return Step(inputs: request.standardLayouts, outputs: [Operand(.float32, x)]) { run in
      if count == 0 { return }
      let output: UnsafeMutablePointer<Float> = run.output()
      kernels.normalizeRows(
        rows: count / columns, columns: columns, run.input(0), scale: nil, shift: nil, epsilon: epsilon,
        subtractMean: true, into: output, run.parallel)
      let (scale, shift): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(1), run.input(2))
      run.parallel.forEach(count / pixels, grain: max(1, 16384 / pixels)) { rows in
        for row in rows {
          let k = row % channels * parameters / channels
          let values = output + row * pixels
          for i in 0..<pixels { values[i] = values[i] * scale[k] + shift[k] }
        }
      }
    }
  }
}
