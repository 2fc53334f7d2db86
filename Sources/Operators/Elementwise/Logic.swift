import Graph
import Parallel
import Tensors

/// Comparisons, truth values, bits, and Where.
enum Logic {
  static let definitions = elementwise.map { $0.local(.image) }

  private static let elementwise =
    [
      ("Equal", Comparison.equal), ("Greater", .greater), ("GreaterOrEqual", .greaterOrEqual), ("Less", .less),
      ("LessOrEqual", .lessOrEqual),
    ].map { name, comparison in OperatorDefinition(name) { try planComparison($0, comparison) } }
    + [("And", IntegerOperation.and), ("Or", .or), ("Xor", .xor)].flatMap { name, op in
      [
        OperatorDefinition(name) { try planTruth($0, op) },
        OperatorDefinition("Bitwise" + name) { try Binary.planIntegers($0, pair($0), op) },
      ]
    } + [
      OperatorDefinition("BitShift", plan: planShift),
      OperatorDefinition("Where", plan: planWhere).gradient(whereGradient),
    ]

  /// Each element's gradient goes to the side that it was taken from.
  private static let whereGradient = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
    let (condition, zero) = (try e.input(node, 0), try e.constant(Float(0)))
    return [
      nil,
      try e.isActive(node, 1) ? e.sum(e.pick(condition, dy, else: zero), to: e.shape(e.input(node, 1))) : nil,
      try e.isActive(node, 2) ? e.sum(e.pick(condition, zero, else: dy), to: e.shape(e.input(node, 2))) : nil,
    ]
  }

  enum Comparison: Sendable {
    case equal, greater, greaterOrEqual, less, lessOrEqual

    @inline(__always)
    func callAsFunction<T: Comparable>(_ a: T, _ b: T) -> Bool {
      switch self {
      case .equal: a == b
      case .greater: a > b
      case .greaterOrEqual: a >= b
      case .less: a < b
      case .lessOrEqual: a <= b
      }
    }
  }

  private static func pair(_ request: Request) throws -> [Operand] {
    let (a, b) = (try request.input(0), try request.input(1))
    guard a.type == b.type else {
      throw Failure(.invalidModel, "its inputs are \(a.type) and \(b.type); they must be of one type")
    }
    return [a, b]
  }

  private static func planComparison(_ request: Request, _ comparison: Comparison) throws -> Step {
    let operands = try pair(request)
    let broadcast = try Broadcast(operands)
    let loop = try operands[0].type.withNumber(ComparisonLoop(broadcast: broadcast, comparison: comparison))
    return Step(inputs: broadcast.inputLayouts, outputs: [broadcast.output(.bool)], run: loop)
  }

  private struct ComparisonLoop: NumberBody {
    let broadcast: Broadcast
    let comparison: Comparison

    func callAsFunction<T: Number>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [broadcast, comparison] run in
        let strides = broadcast.strides
        broadcast.forEachPair(
          run.input(0), strides[0], run.input(1), strides[1], into: run.output(), run.parallel
        ) { (a: T, b: T) -> Bool in comparison(a, b) }
      }
    }
  }

  private static func planTruth(_ request: Request, _ op: IntegerOperation) throws -> Step {
    try request.require(0, .bool)
    let operands = try pair(request)
    let broadcast = try Broadcast(operands)
    let loop = IntegerBroadcast(broadcast: broadcast, op: op)(UInt8.self)
    return Step(
      inputs: broadcast.inputLayouts, outputs: [broadcast.output(.bool)],
      overwritable: broadcast.overwritable(operands, .bool), run: loop)
  }

  private static func planShift(_ request: Request) throws -> Step {
    switch try request.node.string("direction", default: "") {
    case "LEFT": return try Binary.planIntegers(request, pair(request), .shiftLeft)
    case "RIGHT": return try Binary.planIntegers(request, pair(request), .shiftRight)
    case let other: throw Failure(.invalidModel, "direction is \(quoted(other)); expected LEFT or RIGHT")
    }
  }

  // MARK: Where

  private static func planWhere(_ request: Request) throws -> Step {
    try request.require(0, .bool)
    let (x, y) = (try request.input(1), try request.input(2))
    guard x.type == y.type else {
      throw Failure(.invalidModel, "it chooses between \(x.type) and \(y.type); they must be of one type")
    }
    let broadcast = try Broadcast([request.input(0), x, y])
    let loop = try x.type.withBits(WhereLoop(broadcast: broadcast))
    return Step(inputs: broadcast.inputLayouts, outputs: [broadcast.output(x.type)], run: loop)
  }

  private struct WhereLoop: IntegerBody {
    let broadcast: Broadcast

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
      { [broadcast] run in
        let condition: UnsafePointer<UInt8> = run.input(0)
        let (x, y): (UnsafePointer<T>, UnsafePointer<T>) = (run.input(1), run.input(2))
        let output: UnsafeMutablePointer<T> = run.output()
        let columns = broadcast.columns
        let strides = broadcast.strides
        let steps = strides.map { $0[$0.count - 1] }
        broadcast.forEachRow(run.parallel) { row in
          let offsets = strides.map { broadcast.offset(ofRow: row, $0) }
          let target = output + row * columns
          for i in 0..<columns {
            let isTrue = condition[offsets[0] + i * steps[0]] != 0
            target[i] = isTrue ? x[offsets[1] + i * steps[1]] : y[offsets[2] + i * steps[2]]
          }
        }
      }
    }
  }
}
