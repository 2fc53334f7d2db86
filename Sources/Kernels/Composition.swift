import KernelCore
import Parallel

extension Kernels {
  /// A function of one number that is composed of others. Value 0 is its operand, value k the result of step k - 1; the
  /// last one is its result.
  public struct Composition: Sendable, Hashable {
    public enum Operand: Sendable, Hashable {
      case value(Int)
      case constant(Float)
    }

    public enum Step: Sendable, Hashable {
      case unary(Unary, Int)
      case binary(Binary, Operand, Operand)
    }

    public let steps: [Step]

    /// `steps` read no value that is not there yet; there is at least one.
    public init(_ steps: [Step]) { self.steps = steps }

    /// Square root, square and cube of value `x` as steps behind `count` others; nil for other powers.
    public static func power(_ exponent: Float, of x: Int, after count: Int) -> [Step]? {
      let square = Step.binary(.multiply, .value(x), .value(x))
      switch exponent {
      case 0.5: return [.unary(.sqrt, x)]
      case 2: return [square]
      case 3: return [square, .binary(.multiply, .value(count + 1), .value(x))]
      default: return nil
      }
    }
  }

  /// Elements that are taken through all steps before the next ones: their values stay in the first-level cache.
  private static var pieceCount: Int { 1024 }

  /// Each step does to each element what it would do to a whole tensor, so the bits are those of separate passes.
  func compose(
    _ composition: Composition, _ x: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>, count: Int
  ) {
    let (steps, piece) = (composition.steps, min(count, Self.pieceCount))
    if steps.count == 1, case .unary(let function, 0) = steps[0] { return unaryRow(function, x, output, count) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: steps.count * piece) { memory in
      guard let values = memory.baseAddress else { return }
      for first in stride(from: 0, to: count, by: Self.pieceCount) {
        let n = min(piece, count - first)
        func value(_ i: Int) -> UnsafePointer<Float> { i == 0 ? x + first : UnsafePointer(values + (i - 1) * piece) }
        for (i, step) in steps.enumerated() {
          let target = i == steps.count - 1 ? output + first : values + i * piece
          switch step {
          case .unary(let function, let operand): unaryRow(function, value(operand), target, n)
          case .binary(let op, .value(let a), .value(let b)): binaryRow(op, value(a), 1, value(b), 1, target, n)
          case .binary(let op, .value(let a), .constant(var b)): binaryRow(op, value(a), 1, &b, 0, target, n)
          case .binary(let op, .constant(var a), .value(let b)): binaryRow(op, &a, 0, value(b), 1, target, n)
          case .binary(let op, .constant(var a), .constant(var b)): binaryRow(op, &a, 0, &b, 0, target, n)
          }
        }
      }
    }
  }
}
