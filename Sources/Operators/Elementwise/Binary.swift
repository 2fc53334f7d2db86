import Glibc
import Graph
import Kernels
import Parallel
import Tensors

/// Operators that combine two (or more) operands element by element, brought to one shape.
enum Binary {
  static let definitions = elementwise.map { $0.local(.element) }

  private static let elementwise =
    [
      ("Add", Kernels.Binary.add, BinaryGradients.add), ("Sub", .subtract, BinaryGradients.subtract),
      ("Mul", .multiply, BinaryGradients.multiply), ("Div", .divide, BinaryGradients.divide),
      ("PRelu", .prelu, BinaryGradients.prelu),
    ].map { name, op, gradient in OperatorDefinition(name) { try planPair($0, op) }.gradient(gradient) }
    + [
      ("Sum", Kernels.Binary.add, BinaryGradients.sum), ("Max", .maximum, BinaryGradients.extremum),
      ("Min", .minimum, BinaryGradients.extremum),
    ].map { name, op, gradient in
      OperatorDefinition(name) { try planAny($0, op, mean: false) }.gradient(gradient)
    } + [
      OperatorDefinition("Mean") { try planAny($0, .add, mean: true) }.gradient(BinaryGradients.mean),
      OperatorDefinition("Mod", plan: planMod).gradient(BinaryGradients.remainder),
      OperatorDefinition("Pow", plan: planPower).gradient(BinaryGradients.power),
    ]

  private static func planPair(_ request: Request, _ op: Kernels.Binary) throws -> Step {
    try requirePair(request)
    return try planAny(request, op, mean: false)
  }

  private static func requirePair(_ request: Request) throws {
    guard request.inputs.count == 2 else {
      throw Failure(.invalidModel, "it has \(request.inputs.count) inputs; expected 2")
    }
  }

  private static func operands(_ request: Request) throws -> [Operand] {
    let operands = try request.inputs.indices.map { try request.input($0) }
    guard let first = operands.first else { throw Failure(.invalidModel, "it has no inputs") }
    if let other = operands.first(where: { $0.type != first.type }) {
      throw Failure(.invalidModel, "its inputs are \(first.type) and \(other.type); they must be of one type")
    }
    return operands
  }

  /// `op` over all operands from left to right.
  private static func planAny(_ request: Request, _ op: Kernels.Binary, mean: Bool) throws -> Step {
    let operands = try operands(request)
    if operands.count == 1 {
      return Step(viewing: 0, of: 1, in: operands[0].layout, as: operands[0].withoutConstant)
    }
    if operands[0].type.isInteger { return try planIntegers(request, operands, IntegerOperation(op)) }
    try request.require(0, .float32)
    let broadcast = try Broadcast(operands)
    let kernels = request.kernels
    let factor = 1 / Float(operands.count)
    let count = broadcast.shape.count
    return Step(
      inputs: broadcast.inputLayouts, outputs: [broadcast.output(.float32)],
      overwritable: operands.count == 2 ? broadcast.overwritable(operands, .float32) : []
    ) { run in
      let output: UnsafeMutablePointer<Float> = run.output()
      let strides = broadcast.strides
      broadcast.run(op, run.input(0), strides[0], run.input(1), strides[1], into: output, kernels, run.parallel)
      for k in 2..<max(2, strides.count) {
        broadcast.run(op, output, broadcast.dense, run.input(k), strides[k], into: output, kernels, run.parallel)
      }
      guard mean else { return }
      withUnsafePointer(to: factor) {
        kernels.binary(
          .multiply, rows: 1, columns: count, output, aRowStride: 0, aColumnStride: 1, $0, bRowStride: 0,
          bColumnStride: 0, into: output, run.parallel)
      }
    }
  }

  /// `op` over integer operands.
  static func planIntegers(_ request: Request, _ operands: [Operand], _ op: IntegerOperation) throws -> Step {
    let broadcast = try Broadcast(operands)
    let type = operands[0].type
    let loop = try type.withInteger(IntegerBroadcast(broadcast: broadcast, op: op))
    return Step(
      inputs: broadcast.inputLayouts, outputs: [broadcast.output(type)],
      overwritable: operands.count == 2 ? broadcast.overwritable(operands, type) : [], run: loop)
  }

  private static func planMod(_ request: Request) throws -> Step {
    try requirePair(request)
    let operands = try operands(request)
    let hasSignOfDividend = try request.node.flag("fmod")
    if operands[0].type.isInteger {
      return try planIntegers(request, operands, hasSignOfDividend ? .remainder : .modulo)
    }
    if hasSignOfDividend { return try planPair(request, .remainder) }
    try request.require(0, .float32)
    let broadcast = try Broadcast(operands)
    return Step(inputs: broadcast.inputLayouts, outputs: [broadcast.output(.float32)]) { run in
      let strides = broadcast.strides
      broadcast.forEachPair(
        run.input(0), strides[0], run.input(1), strides[1], into: run.output(), run.parallel
      ) { (a: Float, b: Float) -> Float in
        let rest = fmodf(a, b)
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
      }
    }
  }

  // MARK: Pow

  private static func planPower(_ request: Request) throws -> Step {
    let base = try request.input(0)
    let exponent = try request.input(1)
    if base.type.isInteger, exponent.type == base.type {
      return try planIntegers(request, [base, exponent], .power)
    }
    if base.type.isInteger, exponent.type == .float32 {
      let broadcast = try Broadcast([base, exponent])
      return Step(
        inputs: broadcast.inputLayouts, outputs: [broadcast.output(base.type)],
        run: try base.type.withInteger(FloatPower(broadcast: broadcast)))
    }
    try request.require(0, .float32)
    if let constant = exponent.constant, constant.count == 1, exponent.shape.rank <= base.shape.rank,
      let step = try planConstantPower(request, base, constant)
    {
      return step
    }
    let broadcast = try Broadcast([base, exponent])
    let kernels = request.kernels
    let convert =
      try exponent.type == .float32
      ? nil : Conversion.loop(from: exponent.type, to: .float32, count: exponent.shape.count)
    return Step(
      inputs: broadcast.inputLayouts, outputs: [broadcast.output(.float32)],
      workspace: convert == nil ? 0 : 4 * exponent.shape.count,
      overwritable: broadcast.overwritable([base, exponent], .float32)
    ) { run in
      let powers: UnsafePointer<Float>
      if let convert {
        convert(UnsafeRawPointer(run.input(1, as: UInt8.self)), run.workspace)
        powers = UnsafePointer(run.workspace.assumingMemoryBound(to: Float.self))
      } else {
        powers = run.input(1)
      }
      broadcast.run(
        .power, run.input(0), broadcast.strides[0], powers, broadcast.strides[1], into: run.output(), kernels,
        run.parallel)
    }
  }

  /// Small powers, which are what models mean by most.
  private static func planConstantPower(_ request: Request, _ base: Operand, _ exponent: Tensor) throws -> Step? {
    let value = exponent.type == .float32 ? exponent.array(of: Float.self)[0] : Float(try exponent.integers()[0])
    guard let steps = Kernels.Composition.power(value, of: 0, after: 0) else { return nil }
    let function = Kernels.Unary.composed(Kernels.Composition(steps))
    let (kernels, count) = (request.kernels, base.shape.count)
    return Step(
      inputs: [base.layout, .standard], outputs: [Operand(.float32, base.shape, layout: base.layout)],
      overwritable: [0]
    ) {
      kernels.unary(function, $0.input(0), into: $0.output(), count: count, $0.parallel)
    }
  }
}

/// Integers to the power of fractions, towards zero.
private struct FloatPower: IntegerBody {
  let broadcast: Broadcast

  func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
    { [broadcast] run in
      let (x, y): (UnsafePointer<T>, UnsafePointer<Float>) = (run.input(0), run.input(1))
      let output: UnsafeMutablePointer<T> = run.output()
      for i in 0..<broadcast.shape.count {
        let base = Double(x[broadcast.offset(ofElement: i, broadcast.strides[0])])
        let exponent = Double(y[broadcast.offset(ofElement: i, broadcast.strides[1])])
        output[i] = T(converting: pow(base, exponent))
      }
    }
  }
}

extension Operand {
  /// The same value, of which nothing is known but its type, shape and layout.
  var withoutConstant: Operand { Operand(type, shape, layout: layout) }
}

extension Broadcast {
  func output(_ type: ElementType) -> Operand { Operand(type, shape, layout: layout) }

  /// The operands that a result of type `type` may overwrite.
  func overwritable(_ operands: [Operand], _ type: ElementType) -> [Int] {
    operands.indices.filter { operands[$0].type.byteCount == type.byteCount && isDense($0) }
  }
}
