import Graph
import Tensors

/// Expand, Tile and Pad: results larger than their input, made of the input's own elements.
enum Tiling {
  static let definitions = [
    OperatorDefinition("Expand", plan: planExpand)
      .gradient(.unary { e, node, dy in try e.sum(dy, to: e.shape(e.input(node, 0))) }).local(.image),
    OperatorDefinition("Tile", plan: planTile)
      .gradient(
        .unary { e, node, dy in
          let x = try e.shape(e.input(node, 0))
          // Each axis as its repeats and their extent.
          let split = try e.reshape(dy, zip(repeats(e.request(node)), x).flatMap { [$0, $1] })
          return try e.reshape(e.reduce("ReduceSum", split, axes: x.indices.map { 2 * $0 }), x)
        }
      ).local { try repeats($0).first == 1 ? .image : [] },
    OperatorDefinition("Pad") { request in
      let (choices, border) = try padding(request)
      return try request.selecting(choices, fill: border == .constant ? fill(request, request.input(0).type) : nil)
    }.gradient(
      .unary { e, node, dy in
        try e.scattering(padding(e.request(node)).choices, dy, to: e.shape(e.input(node, 0)))
      }
    ).local { try $0.locality(choosing: padding($0).choices) },
  ]

  private static func planExpand(_ request: Request) throws -> Step {
    let x = try request.input(0)
    guard let wish = try request.constant(1)?.integers() else {
      throw Failure(.invalidModel, "input 1, the shape, is missing")
    }
    let shape = try Broadcast.shape(of: [x.shape, Shape(checking: wish)])
    if shape == x.shape {
      return Step(viewing: 0, of: request.inputs.count, in: x.layout, as: x.withoutConstant)
    }
    try Extent.check(shape.dimensions)
    let layout = shape.rank == x.shape.rank ? x.layout : .standard
    // The input with 1 for the axes that it lacks.
    let extents = layout.order(rank: shape.rank).map { axis in
      let own = axis - (shape.rank - x.shape.rank)
      return (from: own < 0 ? 1 : x.shape[own], to: shape[axis])
    }
    let strides = Shape(trusted: extents.map(\.from)).strides
    let axes = zip(extents, strides).map { (extent: $0.to, stride: $0.from == $0.to ? $1 : 0) }
    return walking(axes, in: [layout, .standard], Operand(x.type, shape, layout: layout))
  }

  private static func planTile(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let repeats = try repeats(request)
    if repeats.allSatisfy({ $0 == 1 }) {
      return Step(viewing: 0, of: request.inputs.count, in: x.layout, as: x.withoutConstant)
    }
    let axes = x.layout.order(rank: x.shape.rank)
    let strides = Shape(trusted: axes.map { x.shape[$0] }).strides
    let walk = zip(axes, strides).flatMap { axis, stride in
      [(extent: repeats[axis], stride: 0), (extent: x.shape[axis], stride: stride)]
    }
    let shape = try Shape(checking: zip(x.shape.dimensions, repeats).map(*))
    return walking(walk, in: [x.layout, .standard], Operand(x.type, shape, layout: x.layout))
  }

  private static func walking(_ axes: [(extent: Int, stride: Int)], in layouts: [Layout], _ output: Operand) -> Step {
    let selection = Selection(walking: axes)
    return Step(inputs: layouts, outputs: [output]) { run in
      selection.copy(
        run.input(0, as: UInt8.self), into: run.output(0, as: UInt8.self), elementSize: output.type.byteCount,
        run.parallel)
    }
  }

  private static func repeats(_ request: Request) throws -> [Int] {
    let x = try request.input(0).shape
    guard let repeats = try request.constant(1)?.integers(), repeats.count == x.rank else {
      throw Failure(.invalidModel, "input 1 must list \(x.rank) repeats")
    }
    let extents = try zip(x.dimensions, repeats).map { extent, count in
      let (product, overflow) = extent.multipliedReportingOverflow(by: count)
      guard !overflow, count >= 0 else { throw Failure(.invalidModel, "the repeats \(repeats) of \(x)") }
      return product
    }
    try Extent.check(extents)
    return repeats
  }

  // MARK: Pad

  private static func padding(_ request: Request) throws -> (choices: [[Int]?], border: Border) {
    let x = try request.input(0)
    let rank = x.shape.rank
    guard let pads = try request.integers(attribute: "pads", orInput: 1) else {
      throw Failure(.invalidModel, "the pads are missing")
    }
    let axes = try request.constant(3).map { try request.axes($0.integers(), rank: rank) } ?? Array(0..<rank)
    guard pads.count == 2 * axes.count else {
      throw Failure(.invalidModel, "\(pads.count) pads; expected \(2 * axes.count)")
    }
    let mode = try request.node.string("mode", default: "constant")
    guard let border = Border(rawValue: mode) else {
      throw Failure(.invalidModel, "mode is \(quoted(mode)); expected constant, reflect, edge or wrap")
    }
    var choices = [[Int]?](repeating: nil, count: rank)
    var extents = x.shape.dimensions
    for (i, axis) in axes.enumerated() {
      let (begin, end) = (pads[i], pads[i + axes.count])
      guard begin.magnitude <= Extent.limit, end.magnitude <= Extent.limit, extents[axis] + begin + end >= 0 else {
        throw Failure(.invalidModel, "pads of \(begin) and \(end) on an axis of \(extents[axis])")
      }
      extents[axis] += begin + end
    }
    try Extent.check(extents)
    for (i, axis) in axes.enumerated() where pads[i] != 0 || pads[i + axes.count] != 0 {
      choices[axis] = try border.indices(extents[axis], of: x.shape[axis], pads[i], pads[i + axes.count])
    }
    return (choices, border)
  }

  /// The bytes of the element that a constant border consists of.
  private static func fill(_ request: Request, _ type: ElementType) throws -> [UInt8] {
    if let value = try request.node.float("value"), type == .float32 {
      return withUnsafeBytes(of: value) { Array($0) }
    }
    guard request.has(2), let value = try request.constant(2) else {
      return [UInt8](repeating: 0, count: type.byteCount)
    }
    guard value.type == type, value.count == 1 else {
      throw Failure(.invalidModel, "the border is \(value.type) \(value.shape); expected one \(type)")
    }
    return Array(value.bytes)
  }

  private enum Border: String {
    case constant, reflect, edge, wrap

    /// The indices of an axis that `count` elements between pads are made of. Negative pads take elements away before
    /// the others repeat what is left.
    func indices(_ count: Int, of extent: Int, _ begin: Int, _ end: Int) throws -> [Int] {
      let first = max(0, -begin)
      let left = extent - first - max(0, -end)
      guard left >= 0 else { throw Failure(.invalidModel, "pads of \(begin) and \(end) on an axis of \(extent)") }
      return try (0..<count).map { i in
        let index = try index(i - max(0, begin), of: left)
        return index == Selection.fill ? index : index + first
      }
    }

    /// Which index stands at `i`, that may lie outside of 0..<extent.
    private func index(_ i: Int, of extent: Int) throws -> Int {
      if i >= 0, i < extent { return i }
      if self == .constant { return Selection.fill }
      guard extent > 0 else { throw Failure(.invalidModel, "an empty axis has no \(rawValue) border") }
      switch self {
      case .edge: return i < 0 ? 0 : extent - 1
      case .wrap: return (i % extent + extent) % extent
      default:
        let period = max(1, 2 * (extent - 1))
        let place = (i % period + period) % period
        return min(place, period - place)
      }
    }
  }
}

/// Bounds on extents that come from values in the model, checked before any table of an axis is made.
enum Extent {
  static let limit = 1 << 24

  /// Before a table of so many indices is made.
  static func check(table count: Int) throws {
    guard count <= limit else { throw Failure(.unsupported, "\(count) indices along one axis are too many") }
  }

  /// The sum of two extents.
  static func sum(_ a: Int, _ b: Int) throws -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    guard !overflow else { throw Failure(.unsupported, "an axis is too long") }
    return sum
  }

  static func check(_ extents: [Int]) throws {
    let shape = try Shape(checking: extents)
    guard shape.dimensions.allSatisfy({ $0 <= limit }), shape.count <= 1 << 40 else {
      throw Failure(.unsupported, "a result of shape \(shape) is too large")
    }
  }
}
