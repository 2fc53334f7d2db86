// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Resampling filters, named and defined as in Pillow.
public enum Filter: String, Sendable, CaseIterable {
  case nearest, box, bilinear, bicubic, lanczos

  /// Half the width of the kernel at scale 1, in pixels; `nearest` has no kernel.
  var support: Double {
    switch self {
    case .nearest: 0
    case .box: 0.5
    case .bilinear: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  /// The kernel at distance `x`.
  func kernel(_ x: Double) -> Double {
    switch self {
    case .nearest: return 0
    case .box: return x > -0.5 && x <= 0.5 ? 1 : 0
    case .bilinear: return max(0, 1 - abs(x))
    case .bicubic:
      // Keys 1981 with a = -1/2.
      let a = -0.5
      let t = abs(x)
      if t < 1 { return ((a + 2) * t - (a + 3)) * t * t + 1 }
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0
    case .lanczos: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0
    }
  }

  private func sinc(_ x: Double) -> Double {
    if x == 0 { return 1 }
    return sin(x * .pi) / (x * .pi)
  }
}

/// Which input samples, with which weights, make each output sample along one axis.
///
/// Shrinking widens the kernel by the factor of reduction (antialiasing), as Pillow does and torch with
/// `antialias`.
struct Taps {
  struct Run {
    /// The first input sample.
    let first: Int
    let count: Int
    /// Where its weights begin in `weights`.
    let offset: Int
  }

  let runs: [Run]
  /// Each run's weights sum to 1.
  let weights: [Double]

  /// `positions`: of the output; nil: all.
  init(from input: Int, to output: Int, _ filter: Filter, _ positions: Range<Int>? = nil) {
    let positions = positions ?? 0..<output
    let scale = Double(input) / Double(output)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    let shrink = 1 / stretch
    var runs: [Run] = []
    var weights: [Double] = []
    runs.reserveCapacity(positions.count)
    for position in positions {
      let center = (Double(position) + 0.5) * scale
      let first = max(0, Int(center - support + 0.5))
      let end = min(input, Int(center + support + 0.5))
      let offset = weights.count
      var sum = 0.0
      for sample in first..<max(first, end) {
        let weight = filter.kernel((Double(sample) - center + 0.5) * shrink)
        weights.append(weight)
        sum += weight
      }
      if sum != 0 {
        for i in offset..<weights.count { weights[i] /= sum }
      }
      runs.append(Run(first: first, count: weights.count - offset, offset: offset))
    }
    self.runs = runs
    self.weights = weights
  }

  private init(_ runs: [Run], _ weights: [Double]) {
    self.runs = runs
    self.weights = weights
  }

  /// The same for an axis that begins elsewhere.
  func shifted(by offset: Int) -> Taps {
    Taps(runs.map { Run(first: $0.first + offset, count: $0.count, offset: $0.offset) }, weights)
  }

  /// Which of the two passes comes first, which decides how the result is rounded.
  ///
  /// Pillow 13 starts with the columns where the height shrinks by more than twice what the width does;
  /// earlier versions always start with the rows, and differ by a level in such images.
  static func startWithColumns(from old: (width: Int, height: Int), to new: (width: Int, height: Int)) -> Bool
  {
    new.height < old.height && old.height - new.height > 2 * (old.width - new.width)
  }

  /// Bits after the point of `fixedPoint`: a byte times a weight, overshoot included, stays within 32 bits.
  static let fractionBits: Int32 = 22

  /// The weights as integers, halves rounded away from zero.
  var fixedPoint: [Int32] {
    weights.map { Int32($0 * Double(1 << Taps.fractionBits) + ($0 < 0 ? -0.5 : 0.5)) }
  }
}

/// For each output position (`positions`: for some of them) the input position that contains its centre.
///
/// The centre advances by repeated addition because Pillow's does: where a centre falls on a border, rounding
/// decides.
func nearestPositions(from input: Int, to output: Int, _ positions: Range<Int>? = nil) -> [Int] {
  let positions = positions ?? 0..<output
  let scale = Double(input) / Double(output)
  var center = scale * 0.5
  for _ in 0..<positions.lowerBound { center += scale }
  return positions.map { _ in
    defer { center += scale }
    return min(input - 1, Int(center))
  }
}
