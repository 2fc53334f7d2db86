import Graph
import Kernels
import Parallel
import Tensors

/// Operators that apply a function to each element.
enum Unary {
  static let definitions = elementwise.map { $0.local(.element) }

  private static let elementwise =
    Activation.names.map { name in
      OperatorDefinition(name) { try plan($0, Activation(name, of: $0.node).function) }
        .gradient(UnaryGradients.rule(name))
    }
    + functions.map { name, function in
      OperatorDefinition(name) { try plan($0, function) }.gradient(UnaryGradients.rule(name))
    } + [
      OperatorDefinition("Clip", plan: planClip).gradient(UnaryGradients.clip),
      OperatorDefinition("Shrink", plan: planShrink).gradient(UnaryGradients.shrink),
      OperatorDefinition("Swish") { request in
        let alpha = try request.node.float("alpha", default: 1)
        guard alpha == 1 else { throw Failure(.unsupported, "alpha is \(alpha); supported: 1") }
        return try plan(request, .silu)
      }.gradient(UnaryGradients.rule("Swish")),
      OperatorDefinition("Not", plan: planNot),
      OperatorDefinition("BitwiseNot") { try planInteger($0, .complement) },
      OperatorDefinition("IsNaN") { try planTest($0) { $0.isNaN } },
      OperatorDefinition("IsInf", plan: planIsInf),
    ]

  private static let functions: KeyValuePairs<String, Kernels.Unary> = [
    "Erf": .erf, "Exp": .exp, "Log": .log, "Sqrt": .sqrt, "Reciprocal": .reciprocal, "Neg": .negate, "Abs": .abs,
    "Sign": .sign, "Floor": .floor, "Ceil": .ceil, "Round": .round, "Sin": .sin, "Cos": .cos, "Tan": .tan,
    "Asin": .asin, "Acos": .acos, "Atan": .atan, "Sinh": .sinh, "Cosh": .cosh, "Asinh": .asinh, "Acosh": .acosh,
    "Atanh": .atanh,
  ]

  /// The function that an operator without parameters computes, or any of the activations.
  static func function(named name: String) -> Kernels.Unary? {
    functions.first { $0.key == name }?.value ?? (try? Activation(name, []).function)
  }

  private static func plan(_ request: Request, _ function: Kernels.Unary) throws -> Step {
    let x = try request.input(0)
    if x.type.isInteger, let integer = IntegerFunction(function) { return try planInteger(request, integer) }
    try request.require(0, .float32)
    let kernels = request.kernels
    let count = x.shape.count
    return Step(inputs: [x.layout], outputs: [Operand(.float32, x.shape, layout: x.layout)], overwritable: [0]) {
      kernels.unary(function, $0.input(0), into: $0.output(), count: count, $0.parallel)
    }
  }

  // MARK: Clip

  private static func planClip(_ request: Request) throws -> Step {
    let x = try request.input(0)
    if x.type != .float32 { return try planIntegerClip(request, x) }
    let (low, high) = try clipBounds(request)
    let kernels = request.kernels
    let count = x.shape.count
    var layouts = request.standardLayouts
    layouts[0] = x.layout
    // Where the bounds cross, every element becomes the upper one.
    let function = Kernels.Unary.clip(min(low, high), high)
    return Step(inputs: layouts, outputs: [Operand(.float32, x.shape, layout: x.layout)], overwritable: [0]) {
      kernels.unary(function, $0.input(0), into: $0.output(), count: count, $0.parallel)
    }
  }

  static func clipBounds(_ request: Request) throws -> (low: Float, high: Float) {
    func bound(_ key: String, _ index: Int, default value: Float) throws -> Float {
      if request.opset < 11 { return try request.node.float(key, default: value) }
      guard let tensor = try request.constant(index) else { return value }
      guard tensor.type == .float32, tensor.count == 1 else {
        throw Failure(.invalidModel, "\(key) is \(tensor.type) of shape \(tensor.shape); expected one float32")
      }
      return tensor.array(of: Float.self)[0]
    }
    return (try bound("min", 1, default: -.infinity), try bound("max", 2, default: .infinity))
  }

  private static func planIntegerClip(_ request: Request, _ x: Operand) throws -> Step {
    func bound(_ index: Int) throws -> Int? {
      guard let tensor = try request.constant(index) else { return nil }
      guard tensor.type == x.type, tensor.count == 1 else {
        throw Failure(
          .invalidModel, "input \(index) is \(tensor.type) of shape \(tensor.shape); expected one \(x.type)")
      }
      return try tensor.integers()[0]
    }
    return try planInteger(request, .clip(bound(1) ?? .min, bound(2) ?? .max))
  }

  // MARK: Integers and truth values

  static func planInteger(_ request: Request, _ function: IntegerFunction) throws -> Step {
    let x = try request.input(0)
    let loop = try x.type.withInteger(IntegerLoop(function: function, count: x.shape.count))
    var layouts = request.standardLayouts
    layouts[0] = x.layout
    return Step(
      inputs: layouts, outputs: [Operand(x.type, x.shape, layout: x.layout)], overwritable: [0], run: loop)
  }

  private static func planNot(_ request: Request) throws -> Step {
    try request.require(0, .bool)
    let x = try request.input(0)
    let count = x.shape.count
    return Step(inputs: [x.layout], outputs: [Operand(.bool, x.shape, layout: x.layout)], overwritable: [0]) { run in
      let source: UnsafePointer<UInt8> = run.input(0)
      let target: UnsafeMutablePointer<UInt8> = run.output()
      for i in 0..<count { target[i] = source[i] == 0 ? 1 : 0 }
    }
  }

  private static func planTest(_ request: Request, _ test: @escaping @Sendable (Float) -> Bool) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let count = x.shape.count
    return Step(inputs: [x.layout], outputs: [Operand(.bool, x.shape, layout: x.layout)]) { run in
      let source: UnsafePointer<Float> = run.input(0)
      let target: UnsafeMutablePointer<UInt8> = run.output()
      for i in 0..<count { target[i] = test(source[i]) ? 1 : 0 }
    }
  }

  private static func planShrink(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0)
    let bias = try request.node.float("bias", default: 0)
    let limit = try request.node.float("lambd", default: 0.5)
    let count = x.shape.count
    return Step(inputs: [x.layout], outputs: [Operand(.float32, x.shape, layout: x.layout)], overwritable: [0]) { run in
      let source: UnsafePointer<Float> = run.input(0)
      let target: UnsafeMutablePointer<Float> = run.output()
      for i in 0..<count {
        let x = source[i]
        target[i] = x < -limit ? x + bias : x > limit ? x - bias : 0
      }
    }
  }

  private static func planIsInf(_ request: Request) throws -> Step {
    let positive = try request.node.flag("detect_positive", default: true)
    let negative = try request.node.flag("detect_negative", default: true)
    return try planTest(request) { $0.isInfinite && ($0 > 0 ? positive : negative) }
  }
}

/// Functions of one integer; results wrap around.
enum IntegerFunction: Sendable {
  case negate, abs, sign, relu, identity, complement
  case clip(Int, Int)

  /// nil where the function has no meaning for integers.
  init?(_ function: Kernels.Unary) {
    switch function {
    case .negate: self = .negate
    case .abs: self = .abs
    case .sign: self = .sign
    case .relu: self = .relu
    case .floor, .ceil, .round: self = .identity
    default: return nil
    }
  }

  @inline(__always)
  func callAsFunction<T: FixedWidthInteger>(_ x: T) -> T {
    switch self {
    case .negate: 0 &- x
    case .abs: x < 0 ? 0 &- x : x
    case .sign: T(truncatingIfNeeded: x.signum())
    case .relu: max(x, 0)
    case .identity: x
    case .complement: ~x
    case .clip(let low, let high): min(max(x, T(clamping: low)), T(clamping: high))
    }
  }
}

private struct IntegerLoop: IntegerBody {
  let function: IntegerFunction
  let count: Int

  func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
    { [function, count] run in
      let source: UnsafePointer<T> = run.input(0)
      let target: UnsafeMutablePointer<T> = run.output()
      for i in 0..<count { target[i] = function(source[i]) }
    }
  }
}
