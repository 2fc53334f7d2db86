import KernelCore
import Parallel

extension Kernels {
  /// Kernels [columns, channels, taps, taps] as values at the points of `patch`, computed in double and rounded once;
  /// each point packed as a matrix.
  func packAtPoints(
    _ patch: Patch, _ source: UnsafeRawPointer, channels: Int, columns: Int, scale: UnsafePointer<Float>?,
    into packed: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    let pointCount = packedCount(depth: channels, columns: columns)
    let (down, across) = AxisPoints.of(patch)
    let (side, most) = (across.taps, panelWidth)
    parallel.forEach((columns + most - 1) / most) { panels in
      let capacity = (side * side + side * across.count + 1) * most
      withUnsafeTemporaryAllocation(of: Double.self, capacity: capacity) { memory in
        guard let taps = memory.baseAddress else { return }
        let rows = taps + side * side * most
        let sums = rows + side * across.count * most
        for panel in panels {
          let first = panel * most
          let width = table.panelWidth(columns - first)
          taps.update(repeating: 0, count: side * side * most)
          for channel in 0..<channels {
            for n in 0..<min(width, columns - first) {
              let place = source + 4 * side * side * ((first + n) * channels + channel)
              let factor = Double(scale?[first + n] ?? 1)
              for t in 0..<side * side {
                taps[t * most + n] = Double(place.loadUnaligned(fromByteOffset: 4 * t, as: Float.self)) * factor
              }
            }
            for y in 0..<side {
              for j in 0..<across.count {
                across.sum(j, taps + side * y * most, most, into: rows + (across.count * y + j) * most, width)
              }
            }
            for i in 0..<down.count {
              for j in 0..<across.count {
                down.sum(i, rows + j * most, across.count * most, into: sums, width)
                let target = packed + ((across.count * i + j) * pointCount + channels * first + channel * width)
                for n in 0..<width { target[n] = Float(sums[n]) }
              }
            }
          }
        }
      }
    }
  }
}

/// The taps of a kernel along one axis as values of its polynomial at points, over the product of the point's differences
/// to the others.
private struct AxisPoints: Sendable {
  let taps, count: Int
  /// [points, taps]
  private var factors: [Double] = []

  private static let four = [0, 1, -1.0]
  private static let six = [0, 0.75, -0.75, 1.5, -1.5]

  static func of(_ patch: Patch) -> (down: AxisPoints, across: AxisPoints) {
    let taps = patch == .twoByTwoOfFive ? 5 : 3
    func axis(_ count: Int) -> AxisPoints { AxisPoints(count == 4 ? four : six, taps: taps) }
    return (axis(patch.pointRows), axis(patch.pointColumns))
  }

  /// `finite`: the points but for ∞, which is always the last.
  private init(_ finite: [Double], taps: Int) {
    (self.taps, count) = (taps, finite.count + 1)
    for point in finite {
      var factor = 1 / finite.reduce(1) { $1 == point ? $0 : $0 * (point - $1) }
      for _ in 0..<taps {
        factors.append(factor)
        factor *= point
      }
    }
    factors += [Double](repeating: 0, count: taps - 1) + [1]
  }

  /// The value at point `i` for `width` kernels side by side, whose taps are `stride` apart.
  func sum(
    _ i: Int, _ values: UnsafePointer<Double>, _ stride: Int, into sums: UnsafeMutablePointer<Double>, _ width: Int
  ) {
    for n in 0..<width { sums[n] = factors[taps * i] * values[n] }
    for t in 1..<taps {
      let factor = factors[taps * i + t]
      for n in 0..<width { sums[n] += factor * values[t * stride + n] }
    }
  }
}
