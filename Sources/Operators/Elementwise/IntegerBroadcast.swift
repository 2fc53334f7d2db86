import Kernels
import Parallel
import Tensors

/// Functions of two integers; results wrap around, and division by zero gives 0.
enum IntegerOperation: Sendable {
  case add, subtract, multiply, divide, minimum, maximum, power
  /// With the sign of the dividend (C), and of the divisor (Python).
  case remainder, modulo
  case and, or, xor, shiftLeft, shiftRight

  init(_ op: Kernels.Binary) throws {
    switch op {
    case .add: self = .add
    case .subtract: self = .subtract
    case .multiply: self = .multiply
    case .divide: self = .divide
    case .minimum: self = .minimum
    case .maximum: self = .maximum
    case .remainder: self = .remainder
    case .power: self = .power
    case .prelu: throw Failure(.unsupported, "integers are not supported here")
    }
  }

  @inline(__always)
  func callAsFunction<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
    switch self {
    case .add: a &+ b
    case .subtract: a &- b
    case .multiply: a &* b
    case .divide: b == 0 ? 0 : a.dividedReportingOverflow(by: b).partialValue
    case .minimum: min(a, b)
    case .maximum: max(a, b)
    case .power: Self.power(a, b)
    case .remainder: b == 0 ? 0 : a.remainderReportingOverflow(dividingBy: b).partialValue
    case .modulo: Self.modulo(a, b)
    case .and: a & b
    case .or: a | b
    case .xor: a ^ b
    // A negative number of bits is more than there are.
    case .shiftLeft: b < 0 ? 0 : a << b
    case .shiftRight: a >> (b < 0 ? T(T.bitWidth) : b)
    }
  }

  private static func modulo<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
    if b == 0 { return 0 }
    let rest = a.remainderReportingOverflow(dividingBy: b).partialValue
    return rest != 0 && (rest < 0) != (b < 0) ? rest &+ b : rest
  }

  private static func power<T: FixedWidthInteger>(_ base: T, _ exponent: T) -> T {
    if exponent < 0 { return base == 1 ? 1 : 0 }
    var result: T = 1
    var square = base
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result = result &* square }
      square = square &* square
      rest >>= 1
    }
    return result
  }
}

/// The loop of an operation over two or more integer operands.
struct IntegerBroadcast: IntegerBody {
  let broadcast: Broadcast
  let op: IntegerOperation

  func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> @Sendable (Invocation) -> Void {
    { [broadcast, op] run in
      let output: UnsafeMutablePointer<T> = run.output()
      let strides = broadcast.strides
      broadcast.forEachPair(run.input(0), strides[0], run.input(1), strides[1], into: output, run.parallel) {
        (a: T, b: T) -> T in op(a, b)
      }
      for k in 2..<max(2, strides.count) {
        broadcast.forEachPair(
          UnsafePointer(output), broadcast.dense, run.input(k), strides[k], into: output, run.parallel
        ) { (a: T, b: T) -> T in op(a, b) }
      }
    }
  }
}

extension Broadcast {
  /// `output = body(a, b)` for each element, on operands that lie at these strides.
  @inline(__always)
  func forEachPair<A, B, R>(
    _ a: UnsafePointer<A>, _ aStrides: [Int], _ b: UnsafePointer<B>, _ bStrides: [Int],
    into output: UnsafeMutablePointer<R>, _ parallel: Parallel, _ body: (A, B) -> R
  ) {
    let columns = columns
    let (aStep, bStep) = (aStrides[aStrides.count - 1], bStrides[bStrides.count - 1])
    forEachRow(parallel) { row in
      let aRow = a + offset(ofRow: row, aStrides)
      let bRow = b + offset(ofRow: row, bStrides)
      let target = output + row * columns
      for i in 0..<columns { target[i] = body(aRow[i * aStep], bRow[i * bStep]) }
    }
  }
}
