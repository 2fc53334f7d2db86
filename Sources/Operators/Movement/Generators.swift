import Glibc
import Graph
import Tensors

/// Operators whose result consists of numbers rather than of their input's elements: Constant, ConstantOfShape,
/// Range, EyeLike, OneHot.
enum Generators {
  static let definitions = [
    OperatorDefinition("Constant", plan: planConstant),
    OperatorDefinition("ConstantOfShape", plan: planConstantOfShape),
    OperatorDefinition("Range", plan: planRange),
    OperatorDefinition("EyeLike", plan: planEye).gradient(.constant),
    OperatorDefinition("OneHot", plan: planOneHot).gradient(oneHotGradient),
  ]

  private static func planConstant(_ request: Request) throws -> Step {
    let node = request.node
    if let value = try node.tensor("value") { return Step(constants: [try value.computed()], inputCount: 0) }
    let tensor: Tensor
    if let value = try node.float("value_float") {
      tensor = try Tensor([value], .scalar)
    } else if let value = try node.int("value_int") {
      tensor = try Tensor([Int64(value)], .scalar)
    } else if let values = try node.floats("value_floats") {
      tensor = try Tensor(values, [values.count])
    } else if let values = try node.ints("value_ints") {
      tensor = try Tensor(values.map { Int64($0) }, [values.count])
    } else {
      throw Failure(.unsupported, "its value is neither a dense tensor nor a number")
    }
    return Step(constants: [tensor], inputCount: 0)
  }

  /// A step that writes `value`, one element, everywhere; it has no inputs that it reads.
  private static func filled(_ request: Request, _ shape: Shape, with value: Tensor) throws -> Step {
    let size = value.type.byteCount
    return Step(inputs: request.standardLayouts, outputs: [Operand(value.type, shape)]) { run in
      let target = run.output(0, as: UInt8.self)
      for i in 0..<shape.count { memcpy(target + i * size, value.data, size) }
    }
  }

  private static func planConstantOfShape(_ request: Request) throws -> Step {
    guard let dimensions = try request.constant(0)?.integers() else {
      throw Failure(.invalidModel, "input 0, the shape, is missing")
    }
    let value = try request.node.tensor("value")?.computed() ?? Tensor([Float(0)], .scalar)
    guard value.count == 1 else { throw Failure(.invalidModel, "value has \(value.count) elements; expected 1") }
    return try filled(request, Shape(checking: dimensions), with: value)
  }

  // MARK: Range

  private static func planRange(_ request: Request) throws -> Step {
    guard let start = try request.constant(0), let limit = try request.constant(1), let step = try request.constant(2),
      [start, limit, step].allSatisfy({ $0.count == 1 && $0.type == start.type })
    else { throw Failure(.invalidModel, "start, limit and delta must be one number each, of one type") }
    return try start.type.withNumber(RangeBody(bounds: [start, limit, step], inputs: request.standardLayouts))
  }

  private struct RangeBody: NumberBody {
    let bounds: [Tensor]
    let inputs: [Layout]

    func callAsFunction<T: Number>(_: T.Type) throws -> Step {
      let values = bounds.map { $0.array(of: T.self)[0] }
      let numbers = values.map { $0.converted(to: Float.self) }
      // Integers beyond 2^24 need more than float32 to count.
      let integers = values.map { $0.converted(to: Int64.self) }
      guard numbers[2] != 0 else { throw Failure(.invalidModel, "a range with a delta of 0") }
      let isFloat = T.self == Float.self
      let steps =
        isFloat
        ? Double(numbers[1] - numbers[0]) / Double(numbers[2])
        : (Double(integers[1]) - Double(integers[0])) / Double(integers[2])
      guard steps < Double(Extent.limit) else { throw Failure(.unsupported, "a range of \(steps) elements") }
      let count = Int(max(0, steps.rounded(.up)))
      let type = bounds[0].type
      return Step(inputs: inputs, outputs: [Operand(type, [count])]) { run in
        let output: UnsafeMutablePointer<T> = run.output()
        for i in 0..<count {
          output[i] =
            isFloat
            ? T(converting: numbers[0] + Float(i) * numbers[2])
            : T(converting: integers[0] &+ Int64(i) &* integers[2])
        }
      }
    }
  }

  // MARK: EyeLike, OneHot

  private static func planEye(_ request: Request) throws -> Step {
    let x = try request.input(0)
    guard x.shape.rank == 2 else { throw Failure(.invalidModel, "input \(x.shape); expected a matrix") }
    let code = try request.node.int("dtype") ?? Int(x.type.rawValue)
    guard let type = Int32(exactly: code).flatMap(ElementType.init)?.computed else {
      throw Failure(.unsupported, "element type \(code) is not supported")
    }
    let k = try request.node.int("k", default: 0)
    let (rows, columns) = (x.shape[0], x.shape[1])
    return try type.withNumber(EyeBody(type: type, rows: rows, columns: columns, diagonal: k))
  }

  private struct EyeBody: NumberBody {
    let type: ElementType
    let rows: Int
    let columns: Int
    let diagonal: Int

    func callAsFunction<T: Number>(_: T.Type) -> Step {
      Step(inputs: [.standard], outputs: [Operand(type, [rows, columns])]) { [self] run in
        let output: UnsafeMutablePointer<T> = run.output()
        output.update(repeating: .zero, count: rows * columns)
        for row in 0..<rows {
          let (column, overflow) = row.addingReportingOverflow(diagonal)
          if !overflow, column >= 0, column < columns { output[row * columns + column] = T(converting: 1) }
        }
      }
    }
  }

  private static func planOneHot(_ request: Request) throws -> Step {
    let indices = try request.input(0)
    let values = try request.input(2)
    guard let depths = try request.constant(1), depths.count == 1, values.shape.count == 2 else {
      throw Failure(.invalidModel, "depth must be one number, and values two")
    }
    let depth =
      depths.type == .float32
      ? Int(depths.array(of: Float.self)[0].converted(to: Int64.self)) : try depths.integers()[0]
    guard depth >= 0, depth <= Extent.limit else { throw Failure(.invalidModel, "a depth of \(depth)") }
    let rank = indices.shape.rank
    let axis = try request.axis(request.node.int("axis", default: -1), rank: rank + 1)
    var dimensions = indices.shape.dimensions
    dimensions.insert(depth, at: axis)
    let shape = try Shape(checking: dimensions)
    let split = AxisSplit(dimensions, axis: axis)
    let read = try Conversion.loop(from: indices.type, to: .int64, count: indices.shape.count)
    let size = values.type.byteCount
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(values.type, shape)], workspace: 8 * indices.shape.count
    ) { run in
      read(run.input(0, as: UInt8.self), run.workspace)
      let hot = run.workspace.assumingMemoryBound(to: Int64.self)
      let (values, target) = (run.input(2, as: UInt8.self), run.output(0, as: UInt8.self))
      for outer in 0..<split.outer {
        for k in 0..<split.axis {
          for inner in 0..<split.inner {
            let index = hot[outer * split.inner + inner]
            let isHot = Int(index) == k || index < 0 && Int(index) + depth == k
            let place = (outer * split.axis + k) * split.inner + inner
            memcpy(target + place * size, values + (isHot ? size : 0), size)
          }
        }
      }
    }
  }

  /// Of the two values: all places have either the one or the other.
  private static let oneHotGradient = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil, e.isActive(node, 2) else { return [] }
    let (indices, depth) = (try e.input(node, 0), try e.input(node, 1))
    let isHot = try e(
      "OneHot", indices, depth, e.constant(Tensor([Float(0), 1], [2])), attributes: node.attributes)
    let all = Array(try e.shape(dy).indices)
    let (on, sum) = (
      try e.reduce("ReduceSum", e.multiply(dy, isHot), axes: all), try e.reduce("ReduceSum", dy, axes: all)
    )
    let off = try e.subtract(sum, on)
    let pair = try e("Concat", e.reshape(off, [1]), e.reshape(on, [1]), attributes: ["axis": .int(0)])
    return [nil, nil, try e.reshape(pair, e.shape(e.input(node, 2)))]
  }
}
