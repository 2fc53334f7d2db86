import Graph
import Kernels
import Parallel
import Tensors

/// Normalisations over neighbouring axes: LayerNormalization, RMSNormalization, InstanceNormalization and
/// GroupNormalization.
enum LayerNormalization {
  static let definitions = [
    OperatorDefinition("LayerNormalization") { try planLayer($0, subtractMean: true) }
      .gradient(NormalizationGradients.layer).local { try $0.locality(alongAxisOr: -1) },
    OperatorDefinition("RMSNormalization") { try planLayer($0, subtractMean: false) }
      .gradient(NormalizationGradients.rootMeanSquare).local { try $0.locality(alongAxisOr: -1) },
    OperatorDefinition("InstanceNormalization") { request in
      let x = try request.input(0).shape
      return try planGroups(request, groups: x.rank > 1 ? x[1] : 1)
    }.gradient(NormalizationGradients.instance).local(.image),
    OperatorDefinition("GroupNormalization") { request in
      guard let groups = try request.node.int("num_groups") else {
        throw Failure(.invalidModel, "num_groups is missing")
      }
      return try planGroups(request, groups: groups)
    }.gradient(NormalizationGradients.group).local(.image),
  ]

  private static func planLayer(_ request: Request, subtractMean: Bool) throws -> Step {
    for i in request.inputs.indices where request.has(i) { try request.require(i, .float32) }
    let x = try request.input(0).shape
    let axis = try request.axis(request.node.int("axis", default: -1), rank: x.rank)
    let split = AxisSplit(x.dimensions, axes: axis..<x.rank)
    guard try [1, 2].allSatisfy({ try !request.has($0) || isWhole(request.input($0).shape, x, from: axis) }) else {
      return try planBroadcast(request, split, subtractMean: subtractMean)
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

  /// Whether a scale or shift has a number for each element of the normalised axes.
  private static func isWhole(_ shape: Shape, _ x: Shape, from axis: Int) -> Bool {
    shape.rank <= x.rank && shape.count == x.dimensions[axis...].reduce(1, *)
      && zip(shape.dimensions.reversed(), x.dimensions.reversed()).allSatisfy { $0 == $1 || $0 == 1 }
  }

  /// For a scale or a shift that repeats along some axes: applied behind the normalisation.
  private static func planBroadcast(_ request: Request, _ split: AxisSplit, subtractMean: Bool) throws -> Step {
    let x = try request.input(0).shape
    if let i = request.wanted.indices.dropFirst().first(where: { request.wanted[$0] }) {
      throw Failure(.unsupported, "output \(i) beside a scale that is broadcast is not supported")
    }
    let epsilon = try request.node.float("epsilon", default: 1e-5)
    let kernels = request.kernels
    let parameters = try [1, 2].filter(request.has).map { i in
      let operand = try request.input(i)
      let broadcast = try Broadcast([Operand(.float32, x), Operand(.float32, operand.shape)])
      guard broadcast.shape == x else {
        throw Failure(.invalidModel, "input \(i) has shape \(operand.shape), which does not fit an input \(x)")
      }
      return (i, i == 1 ? Kernels.Binary.multiply : .add, broadcast)
    }
    return Step(inputs: request.standardLayouts, outputs: [Operand(.float32, x)]) { run in
      let output: UnsafeMutablePointer<Float> = run.output()
      kernels.normalizeRows(
        rows: split.outer, columns: split.axis, run.input(0), scale: nil, shift: nil, epsilon: epsilon,
        subtractMean: subtractMean, into: output, run.parallel)
      for (i, op, broadcast) in parameters {
        broadcast.run(
          op, output, broadcast.strides[0], run.input(i), broadcast.strides[1], into: output, kernels, run.parallel)
      }
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
    if try request.input(0).layout == .channelsLast, x.count > 0 {
      return try ChannelsLastGroups(x, groups: groups, parameters: parameters, epsilon: epsilon, kernels).step(request)
    }
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
