import Graph
import Tensors

/// CumSum, Trilu, ReverseSequence, Compress and NonZero: operators that walk along an axis or through all elements.
enum Scan {
  static let definitions = [
    OperatorDefinition("CumSum", plan: planSum).gradient(sumGradient),
    OperatorDefinition("Trilu", plan: planTriangle).gradient(again),
    OperatorDefinition("ReverseSequence", plan: planReverse).gradient(again),
    OperatorDefinition("Compress", plan: planCompress).gradient(compressGradient),
    OperatorDefinition("NonZero", plan: planNonZero),
  ]

  /// What the operator does to its input, it does to the gradient.
  private static let again = GradientRule.unary { e, node, dy in
    try e.add(node.operation, [dy] + node.inputs.dropFirst(), outputs: 1, attributes: node.attributes)[0]
  }

  /// Summed from the other end.
  private static let sumGradient = GradientRule.unary { e, node, dy in
    var attributes = node.attributes
    attributes["reverse"] = .int(try node.flag("reverse") ? 0 : 1)
    return try e("CumSum", dy, e.input(node, 1), attributes: attributes)
  }

  private static let compressGradient = GradientRule.unary { e, node, dy in
    let shape = try e.operand(e.input(node, 0)).shape
    let (choices, from) = try compressing(e.request(node))
    return try e.reshape(e.scattering(choices, dy, to: from), shape.dimensions)
  }

  // MARK: CumSum

  private static func planSum(_ request: Request) throws -> Step {
    let x = try request.input(0)
    guard let given = try request.constant(1)?.integers(), given.count == 1 else {
      throw Failure(.invalidModel, "input 1, the axis, must be one number")
    }
    let axis = try request.axis(given[0], rank: x.shape.rank)
    let body = SumBody(
      split: AxisSplit(x.shape.dimensions, axis: axis), isExclusive: try request.node.flag("exclusive"),
      isReversed: try request.node.flag("reverse"))
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(x.type, x.shape)], run: try x.type.withNumber(body))
  }

  private struct SumBody: NumberBody {
    let split: AxisSplit
    let isExclusive: Bool
    let isReversed: Bool

    func callAsFunction<T: Number>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [split, isExclusive, isReversed] run in
        let (x, output): (UnsafePointer<T>, UnsafeMutablePointer<T>) = (run.input(0), run.output())
        for outer in 0..<split.outer {
          for inner in 0..<split.inner {
            var sum = T.zero
            for i in 0..<split.axis {
              let k = isReversed ? split.axis - 1 - i : i
              let place = (outer * split.axis + k) * split.inner + inner
              let next = sum.adding(x[place])
              output[place] = isExclusive ? sum : next
              sum = next
            }
          }
        }
      }
    }
  }

  // MARK: Trilu

  private static func planTriangle(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let rank = x.shape.rank
    guard rank >= 2 else { throw Failure(.invalidModel, "input \(x.shape); expected matrices") }
    let k = try request.constant(1)?.integers().first ?? 0
    let isUpper = try request.node.flag("upper", default: true)
    let (rows, columns) = (x.shape[rank - 2], x.shape[rank - 1])
    let body = TriangleBody(
      matrices: x.shape.dimensions.dropLast(2).reduce(1, *), rows: rows, columns: columns,
      diagonal: min(max(k, -rows - 1), columns + 1), isUpper: isUpper)
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(x.type, x.shape)], overwritable: [0],
      run: try x.type.withBits(body))
  }

  private struct TriangleBody: IntegerBody {
    let matrices: Int
    let rows: Int
    let columns: Int
    let diagonal: Int
    let isUpper: Bool

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [self] run in
        let (x, output): (UnsafePointer<T>, UnsafeMutablePointer<T>) = (run.input(0), run.output())
        for row in 0..<matrices * rows {
          let first = row % rows + diagonal
          for column in 0..<columns {
            let isKept = isUpper ? column >= first : column <= first
            output[row * columns + column] = isKept ? x[row * columns + column] : 0
          }
        }
      }
    }
  }

  // MARK: ReverseSequence

  private static func planReverse(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let timeAxis = try request.node.int("time_axis", default: 0)
    let batchAxis = try request.node.int("batch_axis", default: 1)
    guard x.shape.rank >= 2, (timeAxis, batchAxis) == (0, 1) || (timeAxis, batchAxis) == (1, 0) else {
      throw Failure(.invalidModel, "time axis \(timeAxis) and batch axis \(batchAxis) of \(x.shape)")
    }
    guard let lengths = try request.constant(1)?.integers(), lengths.count == x.shape[batchAxis],
      lengths.allSatisfy({ $0 >= 0 && $0 <= x.shape[timeAxis] })
    else { throw Failure(.invalidModel, "the sequence lengths do not fit the input \(x.shape)") }
    let bytes = x.shape.dimensions[2...].reduce(1, *) * x.type.byteCount
    let (rows, columns) = (x.shape[0], x.shape[1])
    return Step(inputs: request.standardLayouts, outputs: [Operand(x.type, x.shape)]) { run in
      let (source, target) = (run.input(0, as: UInt8.self), run.output(0, as: UInt8.self))
      for row in 0..<rows {
        for column in 0..<columns {
          let (time, batch) = timeAxis == 0 ? (row, column) : (column, row)
          let from = time < lengths[batch] ? lengths[batch] - 1 - time : time
          let place = timeAxis == 0 ? from * columns + column : row * columns + from
          (target + (row * columns + column) * bytes).update(from: source + place * bytes, count: bytes)
        }
      }
    }
  }

  // MARK: Compress, NonZero

  private static func planCompress(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let (choices, from) = try compressing(request)
    let shape = Shape(trusted: choices.indices.map { choices[$0]?.count ?? from[$0] })
    let selection = Selection(from: from, choices)
    let size = x.type.byteCount
    return Step(inputs: request.standardLayouts, outputs: [Operand(x.type, shape)]) { run in
      selection.copy(
        run.input(0, as: UInt8.self), into: run.output(0, as: UInt8.self), elementSize: size, run.parallel)
    }
  }

  /// Which indices of each axis are taken, of the input or, without an axis, of all its elements in a row.
  private static func compressing(_ request: Request) throws -> (choices: [[Int]?], from: [Int]) {
    let x = try request.input(0).shape
    guard let condition = try request.constant(1), condition.type == .bool else {
      throw Failure(.invalidModel, "input 1, the condition, must be bool")
    }
    try Extent.check(table: condition.count)
    let chosen = condition.array(of: UInt8.self).enumerated().filter { $0.element != 0 }.map(\.offset)
    let axis = try request.node.int("axis")
    let from = axis == nil ? [x.count] : x.dimensions
    let place = try request.axis(axis ?? 0, rank: from.count)
    guard chosen.allSatisfy({ $0 < from[place] }) else {
      throw Failure(.invalidModel, "a condition of \(condition.count) for \(from[place]) elements")
    }
    var choices = [[Int]?](repeating: nil, count: from.count)
    choices[place] = chosen
    return (choices, from)
  }

  /// The result's shape depends on the values, so they must be known.
  private static func planNonZero(_ request: Request) throws -> Step {
    guard let x = try request.constant(0) else { throw Failure(.invalidModel, "input 0 is missing") }
    try Extent.check(table: x.count)
    let places = try x.type.withNumber(NonZeroPlaces(tensor: x))
    let rank = x.shape.rank
    let strides = x.shape.strides
    let indices = (0..<rank).flatMap { axis in
      places.map { Int64($0 / strides[axis] % x.shape[axis]) }
    }
    return Step(constants: [try Tensor(indices, [rank, places.count])], inputCount: 1)
  }

  private struct NonZeroPlaces: NumberBody {
    let tensor: Tensor
    func callAsFunction<T: Number>(_: T.Type) -> [Int] {
      tensor.array(of: T.self).enumerated().filter { $0.element != .zero }.map(\.offset)
    }
  }
}
