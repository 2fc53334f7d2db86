import Graph
import Kernels
import Parallel
import Tensors

/// `limpid.AxisFilters`: along some axes each element of the result is a weighted sum of elements of the input. What
/// the gradients of all operators become that copy, repeat, average or interpolate along axes, one axis at a time:
/// their filters transposed.
///
/// Attributes: "axes", and for entry i of it "counts<i>" (weights of each element), "indices<i>" and "weights<i>".
enum AxisFilters {
  static let definitions = [
    OperatorDefinition("AxisFilters", domain: "limpid") { request in
      let axes = try request.node.ints("axes") ?? []
      let filters = try axes.indices.map { try read(request.node, $0) }
      return try plan(request, Dictionary(uniqueKeysWithValues: zip(axes, filters)), extrapolation: 0)
    }
  ]

  /// The filters of some ONNX axes of input 0, in whatever layout it comes; an empty filter gives `extrapolation`.
  static func plan(_ request: Request, _ filters: [Int: [ResizeFilter]], extrapolation: Float) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let rank = x.shape.rank
    let layout: Layout = rank >= 3 ? .channelsLast : .standard
    let shape = try Shape(checking: (0..<rank).map { filters[$0]?.count ?? x.shape[$0] })
    var extents = layout.physical(x.shape).dimensions
    var passes: [ResizePass] = []
    for (place, axis) in layout.order(rank: rank).enumerated() {
      guard let own = filters[axis] else { continue }
      passes.append(ResizePass(AxisSplit(extents, axis: place), own, extrapolation: extrapolation))
      extents[place] = own.count
    }
    var layouts = request.standardLayouts
    layouts[0] = layout
    let output = Operand(.float32, shape, layout: layout)
    guard !passes.isEmpty else { return Step(viewing: 0, of: request.inputs.count, in: layout, as: output) }
    if passes.count == 2 {
      let scratch = try Shape(checking: [request.parallel.threads, passes[0].rowCount])
      return Step(inputs: layouts, outputs: [output], workspace: 4 * scratch.count) { [passes] run in
        passes[0].run(
          run.input(0), then: passes[1], into: run.output(), scratch: run.workspace.assumingMemoryBound(to: Float.self),
          run.parallel)
      }
    }
    // Between passes the values go back and forth between two halves of the workspace.
    let half = passes.dropLast().map(\.outputCount).max().map { ($0 * 4).roundedUp(to: 64) } ?? 0
    return Step(inputs: layouts, outputs: [output], workspace: 2 * half) { [passes] run in
      var source: UnsafePointer<Float> = run.input(0)
      for (i, pass) in passes.enumerated() {
        let scratch = (run.workspace + (i % 2) * half).assumingMemoryBound(to: Float.self)
        let target: UnsafeMutablePointer<Float> = i == passes.count - 1 ? run.output() : scratch
        pass.run(source, into: target, run.parallel)
        source = UnsafePointer(target)
      }
    }
  }

  /// Before filters of `count` elements with up to `taps` weights each are made.
  static func check(taps count: Int, of taps: Int) throws {
    let (total, overflow) = count.multipliedReportingOverflow(by: taps)
    guard !overflow, total <= Extent.limit else {
      throw Failure(.unsupported, "its gradient needs \(count) sums of \(taps) elements along one axis")
    }
  }

  private static func read(_ node: Node, _ i: Int) throws -> [ResizeFilter] {
    let (counts, indices) = (try node.ints("counts\(i)") ?? [], try node.ints("indices\(i)") ?? [])
    let weights = try node.floats("weights\(i)") ?? []
    var first = 0
    return counts.map { count in
      defer { first += count }
      return ResizeFilter((first..<first + count).map { (indices[$0], Double(weights[$0])) })
    }
  }
}

extension Emitter {
  /// The gradient `dy` of a value that was made from one of shape `dimensions` by these filters along these axes.
  mutating func transposing(
    _ filters: [Int: [ResizeFilter]], _ dy: ValueID, to dimensions: [Int]
  ) throws -> ValueID {
    var attributes: [String: Attribute] = ["axes": .ints(filters.keys.sorted())]
    for (i, axis) in filters.keys.sorted().enumerated() {
      var taps = [[(Int, Float)]](repeating: [], count: dimensions[axis])
      for (target, filter) in (filters[axis] ?? []).enumerated() {
        for (source, weight) in zip(filter.indices, filter.weights) { taps[source].append((target, weight)) }
      }
      attributes["counts\(i)"] = .ints(taps.map(\.count))
      attributes["indices\(i)"] = .ints(taps.flatMap { $0.map(\.0) })
      attributes["weights\(i)"] = .floats(taps.flatMap { $0.map(\.1) })
    }
    return try self("AxisFilters", dy, domain: "limpid", attributes: attributes)
  }

  /// The gradient of a value that took `choices` of the indices of each axis (nil: all; `Selection.fill`: none).
  mutating func scattering(_ choices: [[Int]?], _ dy: ValueID, to dimensions: [Int]) throws -> ValueID {
    var filters: [Int: [ResizeFilter]] = [:]
    for (axis, choice) in choices.enumerated() {
      filters[axis] = choice?.map { $0 == Selection.fill ? ResizeFilter() : ResizeFilter([($0, 1)]) }
    }
    return filters.isEmpty ? dy : try transposing(filters, dy, to: dimensions)
  }
}
