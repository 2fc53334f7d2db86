import Glibc
import Kernels
import Parallel
import Testing

/// A function of one number: its definition in double precision, and the bound on the relative error of the kernels in
/// units of float's precision (2^-23), with an absolute floor where the definition itself cancels.
struct Definition: Sendable {
  var op: Kernels.Unary
  var ulps: Double
  var floor: Double
  var f: @Sendable (Double) -> Double

  init(_ op: Kernels.Unary, _ ulps: Double, floor: Double = 1e-44, _ f: @escaping @Sendable (Double) -> Double) {
    self.op = op
    self.ulps = ulps
    self.floor = floor
    self.f = f
  }
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-Swift.abs(x))) }

struct ElementwiseTests {
  static let definitions: [Definition] = [
    .init(.relu, 0) { max($0, 0) },
    .init(.clip(-1, 2.5), 0) { min(max($0, -1), 2.5) },
    .init(.leakyRelu(0.125), 0) { $0 < 0 ? $0 / 8 : $0 },
    .init(.elu(1.5), 2) { $0 < 0 ? 1.5 * expm1($0) : $0 },
    .init(.selu(alpha: 1.75, gamma: 1.0625), 3) { 1.0625 * ($0 < 0 ? 1.75 * expm1($0) : $0) },
    .init(.celu(2), 2) { $0 < 0 ? 2 * expm1($0 / 2) : $0 },
    .init(.thresholdedRelu(1), 0) { $0 > 1 ? $0 : 0 },
    .init(.sigmoid, 3, floor: 1e-38, sigmoid),
    .init(.hardSigmoid(alpha: 0.25, beta: 0.5), 1, floor: 1e-7) { min(max(0.25 * $0 + 0.5, 0), 1) },
    .init(.hardSwish, 2, floor: 3e-7) { $0 * min(max($0 / 6 + 0.5, 0), 1) },
    .init(.silu, 3, floor: 1e-36) { $0 * sigmoid($0) },
    .init(.mish, 4, floor: 1e-36) { $0 * tanh(softplus($0)) },
    .init(.gelu, 2, floor: 4e-7) { 0.5 * $0 * (1 + erf($0 * 0.5.squareRoot())) },
    .init(.geluTanh, 3, floor: 6e-7) {
      0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
    },
    .init(.softplus, 2, softplus),
    .init(.softsign, 2) { $0 / (1 + Swift.abs($0)) },
    .init(.tanh, 2) { tanh($0) },
    .init(.erf, 2) { erf($0) },
    .init(.exp, 1.5) { exp($0) },
    .init(.log, 1) { log($0) },
    .init(.sqrt, 1) { $0.squareRoot() },
    .init(.reciprocal, 1) { 1 / $0 },
    .init(.negate, 0) { -$0 },
    .init(.abs, 0) { Swift.abs($0) },
    .init(.sign, 0) { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 },
    .init(.floor, 0) { $0.rounded(.down) },
    .init(.ceil, 0) { $0.rounded(.up) },
    .init(.round, 0) { $0.rounded(.toNearestOrEven) },
    .init(.sin, 2) { sin($0) },
    .init(.cos, 2) { cos($0) },
    .init(.tan, 3) { tan($0) },
    .init(.asin, 2) { asin($0) },
    .init(.acos, 2) { acos($0) },
    .init(.atan, 2) { atan($0) },
    .init(.sinh, 3) { sinh($0) },
    .init(.cosh, 3) { cosh($0) },
    .init(.asinh, 3) { asinh($0) },
    .init(.acosh, 3) { acosh($0) },
    .init(.atanh, 3) { atanh($0) },
  ]

  /// Small and large, dense and in extremes, halves and whole numbers.
  static let points: [Float] = {
    var g = Generator(5)
    var result: [Float] = [0, -0.0, .nan, 0x1p-133, -0x1p-133, 0.5, 1.5, 2.5, -0.5, -2.5, 1, -1]
    result += [88.7, -87.5, -100, 3.9, 4.1]
    for scale: Float in [1e-6, 0.1, 1, 4, 20, 88] { result += g.floats(100).map { $0 * scale } }
    return result
  }()

  @Test("Functions of one number keep to their bounds", arguments: variants)
  func unary(kernels: Kernels) {
    let x = Self.points
    for d in Self.definitions {
      let got = floats(x.count) { kernels.unary(d.op, x, into: $0, count: x.count, .serial) }
      let expected = x.map { x -> Expected in
        let y = d.f(Double(x))
        // A result that float rounds to an infinity or to nothing is right as such.
        let value = Swift.abs(y) > Double(Float.greatestFiniteMagnitude) ? y * .infinity : y
        return Expected(value: value, tolerance: d.floor + d.ulps * 0x1p-23 * Swift.abs(y))
      }
      expect(got, expected, "\(kernels) \(d.op)")
    }
  }

  @Test("The ends of the number line", arguments: variants)
  func infinities(kernels: Kernels) {
    let cases: [(Kernels.Unary, Float, Float)] = [
      (.relu, -.infinity, 0), (.relu, .infinity, .infinity), (.exp, -.infinity, 0), (.exp, .infinity, .infinity),
      (.exp, 89, .infinity), (.exp, -104, 0), (.sigmoid, -.infinity, 0), (.sigmoid, .infinity, 1),
      (.tanh, -.infinity, -1), (.tanh, .infinity, 1), (.erf, -.infinity, -1), (.erf, .infinity, 1),
      (.softplus, .infinity, .infinity), (.silu, .infinity, .infinity), (.elu(1), -.infinity, -1),
      (.sqrt, .infinity, .infinity), (.reciprocal, -.infinity, -0.0), (.reciprocal, 0, .infinity),
      (.log, 0, -.infinity),
    ]
    for (op, x, y) in cases {
      let got = floats(1) { kernels.unary(op, [x], into: $0, count: 1, .serial) }
      #expect(got[0] == y, "\(op)(\(x)) = \(got[0])")
    }
  }

  @Test("Functions of one number in place, on several threads, give the same bits", arguments: variants)
  func unaryInPlace(kernels: Kernels) {
    var g = Generator(8)
    let x = g.floats(100_003)
    let whole = floats(x.count) { kernels.unary(.silu, x, into: $0, count: x.count, .serial) }
    let inPlace = floats(x.count) {
      $0.update(from: x, count: x.count)
      kernels.unary(.silu, $0, into: $0, count: x.count, Parallel(threads: 3))
    }
    expectSame(inPlace, whole, "in place")
  }

  @Test("Functions of two numbers, with every kind of broadcasting", arguments: variants, Kernels.Binary.allCases)
  func binary(kernels: Kernels, op: Kernels.Binary) {
    let f: (Double, Double) -> Double =
      switch op {
      case .add: (+)
      case .subtract: (-)
      case .multiply: (*)
      case .divide: (/)
      case .power: { pow($0, $1) }
      case .minimum: { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }
      case .maximum: { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
      case .remainder: { fmod($0, $1) }
      case .prelu: { $0 < 0 ? $0 * $1 : $0 }
      }
    var g = Generator(11)
    for (rows, columns) in [(1, 1), (1, 37), (37, 1), (5, 19), (3, 64)] {
      for steps in 0..<16 {
        let a = g.floats(rows * columns), b = g.floats(rows * columns)
        let (aColumn, bColumn) = (steps & 1, steps >> 1 & 1)
        let aRow = steps & 4 == 0 ? 0 : aColumn == 1 ? columns : 1
        let bRow = steps & 8 == 0 ? 0 : bColumn == 1 ? columns : 1
        let got = floats(rows * columns) {
          kernels.binary(
            op, rows: rows, columns: columns, a, aRowStride: aRow, aColumnStride: aColumn, b, bRowStride: bRow,
            bColumnStride: bColumn, into: $0, Parallel(threads: 2))
        }
        let expected = (0..<rows * columns).map { i -> Expected in
          let x = a[i / columns * aRow + i % columns * aColumn], y = b[i / columns * bRow + i % columns * bColumn]
          let z = f(Double(x), Double(y))
          return Expected(value: z, tolerance: 2e-7 * Swift.abs(z))
        }
        expect(got, expected, "\(op) \(rows)×\(columns) \(steps)")
      }
    }
  }

  @Test("What passes where another lies between two bounds", arguments: variants)
  func passWithin(kernels: Kernels) {
    var g = Generator(12)
    let (x, y) = (g.floats(1_037), g.floats(1_034) + [0, 0.5, .nan])
    for (low, high) in [(0, .infinity), (0, 0.5), (-0.25, 0.5), (-.infinity, 0.1)] as [(Float, Float)] {
      let got = floats(x.count) { kernels.passWithin(low, high, x, y, into: $0, count: x.count, Parallel(threads: 2)) }
      #expect(got == zip(x, y).map { low < $1 && $1 < high ? $0 : 0 }, "\(low) \(high)")
    }
  }

  @Test("The larger and the smaller of two numbers are NaN where either is", arguments: variants)
  func binaryNaN(kernels: Kernels) {
    for op in [Kernels.Binary.minimum, .maximum] {
      let got = floats(2) {
        kernels.binary(
          op, rows: 1, columns: 2, [.nan, 1], aRowStride: 0, aColumnStride: 1, [1, .nan], bRowStride: 0,
          bColumnStride: 1, into: $0, .serial)
      }
      #expect(got[0].isNaN && got[1].isNaN)
    }
  }
}
