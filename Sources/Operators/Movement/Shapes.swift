import Graph
import Kernels
import Tensors

/// Operators that tell shapes or give the same elements another shape.
enum Shapes {
  static let definitions = [
    OperatorDefinition("Shape", plan: planShape),
    OperatorDefinition("Size") { request in
      Step(constants: [try Tensor([Int64(request.input(0).shape.count)], .scalar)], inputCount: 1)
    },
    OperatorDefinition("Reshape", plan: planReshape).gradient(reshaping).local([.channel, .image]),
    OperatorDefinition("Flatten", plan: planFlatten).gradient(reshaping).local([.channel, .image]),
    OperatorDefinition("Squeeze", plan: planSqueeze).gradient(reshaping).local([.channel, .image]),
    OperatorDefinition("Unsqueeze", plan: planUnsqueeze).gradient(reshaping).local([.channel, .image]),
    OperatorDefinition("Identity") { request in
      let x = try request.input(0)
      return Step(viewing: 0, of: 1, in: x.layout, as: x.withoutConstant)
    }.gradient(reshaping).local(.element),
    // The identity, but for gradients: what scales are found from must not be one of the ways that a value has.
    OperatorDefinition("Detach", domain: "limpid") { request in
      let x = try request.input(0)
      return Step(viewing: 0, of: 1, in: x.layout, as: x.withoutConstant)
    }.gradient(.constant),
    OperatorDefinition("Dropout", plan: planDropout).gradient(reshaping).local(.element),
  ]

  /// The same numbers in the shape of the input.
  private static let reshaping = GradientRule.unary { e, node, dy in try e.reshape(dy, e.shape(e.input(node, 0))) }

  private static func planShape(_ request: Request) throws -> Step {
    let shape = try request.input(0).shape
    func bound(_ key: String, default value: Int) throws -> Int {
      let axis = try request.node.int(key, default: value)
      return min(max(axis < 0 ? axis + shape.rank : axis, 0), shape.rank)
    }
    let start = try bound("start", default: 0)
    let end = max(start, try bound("end", default: shape.rank))
    let extents = shape.dimensions[start..<end].map { Int64($0) }
    return Step(constants: [try Tensor(extents, [extents.count])], inputCount: 1)
  }

  /// Input 0 under another shape; not in ONNX order where that needs no copy.
  private static func view(_ request: Request, as dimensions: [Int]) throws -> Step {
    let x = try request.input(0)
    let shape = try Shape(checking: dimensions)
    guard shape.count == x.shape.count else {
      throw Failure(.invalidModel, "\(x.shape) has \(x.shape.count) elements, \(shape) has \(shape.count)")
    }
    let layout = x.isReordered ? self.layout(of: x, as: shape) : .standard
    return Step(
      viewing: 0, of: request.inputs.count, in: layout == .standard ? .standard : x.layout,
      as: Operand(x.type, shape, layout: layout))
  }

  /// The layout in which the bytes of `x` are those of `shape`. Spatial axes lie together, and so do channels, so both
  /// may be cut and joined as long as they do not mix.
  private static func layout(of x: Operand, as shape: Shape) -> Layout {
    let channels = x.shape.dimensions[1...x.layout.rawValue].reduce(1, *)
    return [Layout.channelsLast, .groupedChannelsLast].first { layout in
      layout.fits(rank: shape.rank) && shape[0] == x.shape[0]
        && shape.dimensions[1...layout.rawValue].reduce(1, *) == channels
    } ?? .standard
  }

  private static func planReshape(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    guard let wish = try request.integers(attribute: "shape", orInput: 1) else {
      throw Failure(.invalidModel, "input 1, the shape, is missing")
    }
    let keepsZero = try request.node.flag("allowzero")
    var dimensions = try wish.enumerated().map { axis, extent in
      if extent != 0 || keepsZero { return extent }
      guard axis < x.rank else { throw Failure(.invalidModel, "the shape \(wish) copies axis \(axis) of \(x)") }
      return x[axis]
    }
    if let open = dimensions.firstIndex(of: -1) {
      dimensions[open] = 1
      let rest = try Shape(checking: dimensions).count
      guard rest > 0, x.count % rest == 0 else {
        throw Failure(.invalidModel, "\(x) cannot be reshaped to \(wish)")
      }
      dimensions[open] = x.count / rest
    }
    return try view(request, as: dimensions)
  }

  private static func planFlatten(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    let given = try request.node.int("axis", default: 1)
    guard given >= -x.rank, given <= x.rank else {
      throw Failure(.invalidModel, "axis \(given) is outside of a tensor of rank \(x.rank)")
    }
    let axis = given < 0 ? given + x.rank : given
    return try view(
      request, as: [x.dimensions[..<axis].reduce(1, *), x.dimensions[axis...].reduce(1, *)])
  }

  private static func planSqueeze(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    let listed = try request.integers(attribute: "axes", orInput: 1)
    let axes = try listed.map { try request.axes($0, rank: x.rank) } ?? (0..<x.rank).filter { x[$0] == 1 }
    if let axis = axes.first(where: { x[$0] != 1 }) {
      throw Failure(.invalidModel, "axis \(axis) of \(x) cannot be squeezed: its extent is not 1")
    }
    return try view(request, as: (0..<x.rank).filter { !axes.contains($0) }.map { x[$0] })
  }

  private static func planUnsqueeze(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    guard let listed = try request.integers(attribute: "axes", orInput: 1) else {
      throw Failure(.invalidModel, "the axes are missing")
    }
    guard listed.count + x.rank <= 64 else { throw Failure(.unsupported, "more than 64 axes") }
    let axes = try request.axes(listed, rank: x.rank + listed.count)
    var dimensions = x.dimensions
    for axis in axes.sorted() { dimensions.insert(1, at: axis) }
    return try view(request, as: dimensions)
  }

  /// At inference nothing is dropped, nor in training where the ratio is 0; the mask, where wanted, is all true.
  private static func planDropout(_ request: Request) throws -> Step {
    let x = try request.input(0)
    if request.has(2), let training = try request.constant(2), training.bytes.contains(where: { $0 != 0 }),
      try request.constant(1)?.floats().array(of: Float.self) != [0]
    {
      throw Failure(.unsupported, "training is not supported")
    }
    guard request.wanted.count > 1, request.wanted[1] else {
      return Step(viewing: 0, of: request.inputs.count, in: x.layout, as: x.withoutConstant)
    }
    let count = x.shape.count
    var layouts = request.standardLayouts
    layouts[0] = x.layout
    let mask = Operand(request.opset >= 10 ? .bool : x.type, x.shape, layout: x.layout)
    guard mask.type == .bool else { throw Failure(.unsupported, "the output mask is supported from version 10 on") }
    return Step(inputs: layouts, outputs: [x.withoutConstant, mask], overwritable: [0]) { run in
      let (source, target) = (run.input(0, as: UInt8.self), run.output(0, as: UInt8.self))
      if target != source { target.update(from: source, count: count * x.type.byteCount) }
      run.output(1, as: UInt8.self).update(repeating: 1, count: count)
    }
  }
}
