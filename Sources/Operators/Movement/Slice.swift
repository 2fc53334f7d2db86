import Graph
import Tensors

/// Slice and Split: each axis of the result takes some indices of that axis of the input.
enum Slice {
  static let definitions = [
    OperatorDefinition("Slice") { try $0.selecting(choices($0)) }
      .gradient(
        .unary { e, node, dy in
          try e.scattering(choices(e.request(node)), dy, to: e.shape(e.input(node, 0)))
        }
      ).local { try $0.locality(choosing: choices($0)) },
    OperatorDefinition("Split", plan: planSplit).gradient(splitGradient).local { try $0.locality(alongAxisOr: 0) },
  ]

  /// The parts that the target does not depend on have the gradient 0.
  private static let splitGradient = GradientRule.emitted { e, node, gradients in
    let x = try e.input(node, 0)
    let axis = try e.request(node).axis(node.int("axis", default: 0), rank: e.shape(x).count)
    let parts = try zip(node.outputs, gradients).map { output, gradient -> ValueID in
      if let gradient { return gradient }
      guard let output else { throw Failure(.unsupported, "its gradient needs all of its outputs") }
      return try e.zeros(like: output)
    }
    return [try e.add("Concat", parts, outputs: 1, attributes: ["axis": .int(axis)])[0]]
  }

  private static func choices(_ request: Request) throws -> [[Int]?] {
    let x = try request.input(0)
    guard let starts = try request.integers(attribute: "starts", orInput: 1),
      let ends = try request.integers(attribute: "ends", orInput: 2)
    else { throw Failure(.invalidModel, "starts or ends are missing") }
    let listed = try request.integers(attribute: "axes", orInput: 3) ?? Array(starts.indices)
    let steps = try request.constant(4)?.integers() ?? starts.map { _ in 1 }
    guard ends.count == starts.count, listed.count == starts.count, steps.count == starts.count else {
      throw Failure(
        .invalidModel,
        "\(starts.count) starts, \(ends.count) ends, \(listed.count) axes and \(steps.count) steps; expected as many "
          + "of each")
    }
    let axes = try request.axes(listed, rank: x.shape.rank)
    var choices = [[Int]?](repeating: nil, count: x.shape.rank)
    for (i, axis) in axes.enumerated() {
      choices[axis] = try indices(x.shape[axis], from: starts[i], to: ends[i], by: steps[i])
    }
    return choices
  }

  /// The indices of a Python slice; nil where it takes the whole axis as it is.
  private static func indices(_ extent: Int, from start: Int, to end: Int, by step: Int) throws -> [Int]? {
    guard step != 0 else { throw Failure(.invalidModel, "a step of 0") }
    func clamped(_ index: Int, _ range: ClosedRange<Int>) -> Int {
      let fromStart = index < 0 ? index.addingReportingOverflow(extent).partialValue : index
      return min(max(fromStart, range.lowerBound), range.upperBound)
    }
    let range = step > 0 ? 0...extent : -1...max(-1, extent - 1)
    let first = clamped(start, range)
    // The end of a backward slice is below 0 only where it lies before the first element.
    let last = clamped(end, range)
    // A step beyond the axis takes one element, like one that just leaves it.
    let bounded = min(max(step, -extent - 1), extent + 1)
    if bounded == 1, first == 0, last == extent { return nil }
    try Extent.check(table: abs(last - first) / abs(bounded))
    let chosen = Array(stride(from: first, to: last, by: bounded))
    return chosen.count == extent && chosen == Array(0..<extent) ? nil : chosen
  }

  private static func planSplit(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let rank = x.shape.rank
    let axis = try request.axis(request.node.int("axis", default: 0), rank: rank)
    let parts = try parts(request, of: x.shape[axis])
    let place = x.layout.physicalAxis(axis, rank: rank)
    let physical = x.physical
    var outputs: [Operand] = []
    var selections: [Selection] = []
    var first = 0
    for part in parts {
      var dimensions = x.shape.dimensions
      dimensions[axis] = part
      outputs.append(Operand(x.type, Shape(trusted: dimensions), layout: x.layout))
      var choices = [[Int]?](repeating: nil, count: rank)
      try Extent.check(table: part)
      choices[place] = Array(first..<first + part)
      selections.append(Selection(from: physical, choices))
      first += part
    }
    let size = x.type.byteCount
    var layouts = request.standardLayouts
    layouts[0] = x.layout
    return Step(inputs: layouts, outputs: outputs) { [selections] run in
      let source = run.input(0, as: UInt8.self)
      for (i, selection) in selections.enumerated() {
        selection.copy(source, into: run.output(i, as: UInt8.self), elementSize: size, run.parallel)
      }
    }
  }

  private static func parts(_ request: Request, of extent: Int) throws -> [Int] {
    let count = request.node.outputs.count
    if let parts = try request.integers(attribute: "split", orInput: 1) {
      let total = parts.reduce((0, false)) { sum, part in
        let (next, overflow) = sum.0.addingReportingOverflow(part)
        return (next, sum.1 || overflow || part < 0)
      }
      guard parts.count == count, !total.1, total.0 == extent else {
        throw Failure(.invalidModel, "an axis of \(extent) cannot be split into \(parts) for \(count) outputs")
      }
      return parts
    }
    guard count > 0 else { throw Failure(.invalidModel, "it has no outputs") }
    if let declared = try request.node.int("num_outputs"), declared != count {
      throw Failure(.invalidModel, "num_outputs is \(declared), but it has \(count) outputs")
    }
    // The last part is smaller where the axis cannot be divided evenly.
    let part = (extent + count - 1) / count
    return (0..<count).map { max(0, min(part, extent - $0 * part)) }
  }
}

extension Request {
  /// Images stay apart where the first axis stays whole.
  func locality(choosing choices: [[Int]?]) -> Locality { choices.first == .some(nil) ? .image : [] }

  /// A step that takes `choices` (by ONNX axis; nil is the whole axis, `Selection.fill` the `fill` bytes) of input
  /// 0, in whatever layout that comes.
  func selecting(_ choices: [[Int]?], fill: [UInt8]? = nil) throws -> Step {
    let x = try input(0)
    let shape = try Shape(checking: choices.indices.map { choices[$0]?.count ?? x.shape[$0] })
    let output = Operand(x.type, shape, layout: x.layout)
    if choices.allSatisfy({ $0 == nil }) { return Step(viewing: 0, of: inputs.count, in: x.layout, as: output) }
    let selection = Selection(from: x.physical, x.layout.order(rank: x.shape.rank).map { choices[$0] })
    let size = x.type.byteCount
    var layouts = standardLayouts
    layouts[0] = x.layout
    return Step(inputs: layouts, outputs: [output]) { run in
      func copy(_ fill: UnsafeRawPointer?) {
        selection.copy(
          run.input(0, as: UInt8.self), into: run.output(0, as: UInt8.self), elementSize: size, fill: fill,
          run.parallel)
      }
      if let fill { fill.withUnsafeBytes { copy($0.baseAddress) } } else { copy(nil) }
    }
  }
}
