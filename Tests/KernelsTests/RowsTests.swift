import Glibc
import Kernels
import Parallel
import Testing

struct RowsTests {
  struct Extents: Sendable {
    var outer, axis, inner: Int
  }
  static let extents: [Extents] = [
    .init(outer: 3, axis: 1, inner: 1), .init(outer: 5, axis: 7, inner: 1), .init(outer: 2, axis: 1000, inner: 1),
    .init(outer: 3, axis: 49, inner: 37), .init(outer: 1, axis: 5, inner: 129), .init(outer: 4, axis: 3, inner: 2),
  ]

  /// Calls `body` with the elements along the axis, for each (outer, inner) in order.
  func columns(_ e: Extents, _ x: [Float], _ body: (_ column: [Double], _ first: Int) -> Void) {
    for o in 0..<e.outer {
      for i in 0..<e.inner {
        let first = o * e.axis * e.inner + i
        body((0..<e.axis).map { Double(x[first + $0 * e.inner]) }, first)
      }
    }
  }

  @Test("Softmax and its logarithm", arguments: variants, extents)
  func softmax(kernels: Kernels, e: Extents) {
    var g = Generator(31)
    let x = g.floats(e.outer * e.axis * e.inner).map { $0 * 20 }
    for isLog in [false, true] {
      var expected = [Expected](repeating: Expected(value: 0, tolerance: 0), count: x.count)
      columns(e, x) { column, first in
        let most = column.max()!
        let sum = column.reduce(0) { $0 + exp($1 - most) }
        for (k, v) in column.enumerated() {
          let value = isLog ? v - most - log(sum) : exp(v - most) / sum
          expected[first + k * e.inner] = Expected(value: value, tolerance: isLog ? 5e-6 : 4e-6 * value)
        }
      }
      for threads in 1...2 {
        let got = floats(x.count) {
          $0.update(from: x, count: x.count)
          kernels.softmax(
            outer: e.outer, axis: e.axis, inner: e.inner, $0, into: $0, log: isLog, Parallel(threads: threads))
        }
        expect(got, expected, "\(e) log: \(isLog)")
      }
    }
  }

  @Test("Reductions", arguments: variants, Kernels.Reduction.allCases)
  func reduce(kernels: Kernels, op: Kernels.Reduction) {
    for e in Self.extents {
      var g = Generator(32)
      // The logarithm of a sum needs a positive one, the product of many numbers factors near 1.
      let offset: Float = op == .logSum ? 1.5 : op == .product ? 20 : 0.1
      let x = g.floats(e.outer * e.axis * e.inner).map { ($0 + offset) / (op == .product ? 20 : 1) }
      var expected: [Expected] = []
      columns(e, x) { column, _ in
        let sum = column.reduce(0, +), size = column.reduce(0) { $0 + Swift.abs($1) }
        let squares = column.reduce(0) { $0 + $1 * $1 }
        let value =
          switch op {
          case .sum: sum
          case .mean: sum / Double(column.count)
          case .maximum: column.max()!
          case .minimum: column.min()!
          case .product: column.reduce(1, *)
          case .sumSquare: squares
          case .l1: size
          case .l2: squares.squareRoot()
          case .logSum: log(sum)
          case .logSumExp: log(column.reduce(0) { $0 + exp($1) })
          }
        let isSum = op == .sum || op == .mean
        let bound = isSum ? 1e-6 * size : op == .product ? 1e-4 * value : 2e-6 * Swift.abs(value) + 1e-6
        expected.append(Expected(value: value, tolerance: bound))
      }
      for threads in 1...2 {
        let got = floats(e.outer * e.inner) {
          kernels.reduce(
            op, outer: e.outer, axis: e.axis, inner: e.inner, x, into: $0, Parallel(threads: threads))
        }
        expect(got, expected, "\(op) \(e)")
      }
    }
  }

  @Test("Normalised rows, with and without mean, scale and shift", arguments: variants)
  func normalize(kernels: Kernels) {
    for (rows, columns) in [(1, 1), (3, 7), (5, 96), (2, 1001)] {
      var g = Generator(columns)
      let x = g.floats(rows * columns), scale = g.floats(columns), shift = g.floats(columns)
      for subtractMean in [true, false] {
        let expected = (0..<rows * columns).map { i -> Expected in
          let row = x[i / columns * columns..<(i / columns + 1) * columns].map(Double.init)
          let mean = subtractMean ? row.reduce(0, +) / Double(columns) : 0
          let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
          let normal = (Double(x[i]) - mean) / (variance + 1e-5).squareRoot()
          return Expected(value: normal * Double(scale[i % columns]) + Double(shift[i % columns]), tolerance: 2e-6)
        }
        let got = floats(x.count) {
          kernels.normalizeRows(
            rows: rows, columns: columns, x, scale: scale, shift: shift, epsilon: 1e-5, subtractMean: subtractMean,
            into: $0, Parallel(threads: 2))
        }
        expect(got, expected, "\(rows)×\(columns)")
      }
    }
  }

  /// Parts of other widths, more rows than go together, with what only clamps and what does not.
  @Test("Scaled and shifted columns", arguments: variants, [[37, 0, 16, 64, 3], [21], [16, 600]])
  func scaleColumns(kernels: Kernels, widths: [Int]) {
    var g = Generator(41)
    let (rows, columns) = (130, widths.reduce(0, +))
    let parts = widths.map { g.floats(rows * $0) }
    let (scale, shift) = (g.floats(columns), g.floats(columns))
    let sums = (0..<rows).flatMap { r in
      let x = zip(parts, widths).flatMap { $0[r * $1..<(r + 1) * $1] }
      return x.indices.map { Double(x[$0]) * Double(scale[$0]) + Double(shift[$0]) }
    }
    let all = parts.flatMap { $0 }
    let cases: [(activation: Kernels.Unary?, function: (Double) -> Double)] = [
      (nil, { $0 }), (.relu, { max($0, 0) }), (.clip(-0.5, 0.25), { min(max($0, -0.5), 0.25) }),
      (.leakyRelu(0.5), { max($0, 0.5 * $0) }),
    ]
    for (activation, function) in cases {
      let got = floats(rows * columns) { output in
        all.withUnsafeBufferPointer { all in
          var pointers: [(x: UnsafePointer<Float>, columns: Int)] = []
          for width in widths {
            pointers.append((all.baseAddress! + rows * pointers.reduce(0) { $0 + $1.columns }, width))
          }
          kernels.scaleColumns(
            rows: rows, pointers, scale: scale, shift: shift, activation, into: output, Parallel(threads: 2))
        }
      }
      expect(
        got, sums.map { Expected(value: function($0), tolerance: 4e-7) },
        "\(widths) \(activation.map { "\($0)" } ?? "alone")")
    }
  }
}
