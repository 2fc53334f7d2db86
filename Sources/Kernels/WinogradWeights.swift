import KernelCore
import Parallel

extension Kernels {
  /// Kernels [columns, channels, 3, 3] as values at the points of `height`, computed in double and rounded once; each
  /// point packed as a matrix.
  func packAtPoints(
    _ height: PatchHeight, _ source: UnsafeRawPointer, channels: Int, columns: Int, scale: UnsafePointer<Float>?,
    into packed: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    let pointCount = packedCount(depth: channels, columns: columns)
    let down = height == .two ? AxisPoints([0, 1, -1]) : AxisPoints.four
    let most = panelWidth
    parallel.forEach((columns + most - 1) / most) { panels in
      withUnsafeTemporaryAllocation(of: Double.self, capacity: (9 + 18 + 1) * most) { memory in
        guard let taps = memory.baseAddress else { return }
        let (rows, sums) = (taps + 9 * most, taps + 27 * most)
        for panel in panels {
          let first = panel * most
          let width = table.panelWidth(columns - first)
          taps.update(repeating: 0, count: 9 * most)
          for channel in 0..<channels {
            for n in 0..<min(width, columns - first) {
              let place = source + 36 * ((first + n) * channels + channel)
              let factor = Double(scale?[first + n] ?? 1)
              for t in 0..<9 {
                taps[t * most + n] = Double(place.loadUnaligned(fromByteOffset: 4 * t, as: Float.self)) * factor
              }
            }
            for ky in 0..<3 {
              for j in 0..<6 {
                AxisPoints.four.sum(j, taps + 3 * ky * most, most, into: rows + (6 * ky + j) * most, width)
              }
            }
            for i in 0..<height.points {
              for j in 0..<6 {
                down.sum(i, rows + j * most, 6 * most, into: sums, width)
                let target = packed + ((6 * i + j) * pointCount + channels * first + channel * width)
                for n in 0..<width { target[n] = Float(sums[n]) }
              }
            }
          }
        }
      }
    }
  }
}

/// Three taps of a kernel as values of its polynomial at points, over the product of the point's differences to the
/// others.
private struct AxisPoints: Sendable {
  /// [points, 3]
  private var factors: [Double] = []

  static let four = AxisPoints([0, 0.75, -0.75, 1.5, -1.5])

  /// `finite`: the points but for ∞, which is always the last.
  init(_ finite: [Double]) {
    for point in finite {
      let differences = finite.reduce(1) { $1 == point ? $0 : $0 * (point - $1) }
      factors += [1 / differences, point / differences, point * point / differences]
    }
    factors += [0, 0, 1]
  }

  /// The value at point `i` for `count` kernels side by side, whose taps are `stride` apart.
  func sum(
    _ i: Int, _ taps: UnsafePointer<Double>, _ stride: Int, into values: UnsafeMutablePointer<Double>, _ count: Int
  ) {
    let (a, b, c) = (factors[3 * i], factors[3 * i + 1], factors[3 * i + 2])
    for n in 0..<count { values[n] = a * taps[n] + b * taps[stride + n] + c * taps[2 * stride + n] }
  }
}
