// SPDX-License-Identifier: Apache-2.0
import Glibc
import Tensors

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

  let runs: Buffer<Run>
  /// Each run's weights sum to 1.
  let weights: Buffer<Double>

  /// `positions`: of the output; nil: all.
  init(from input: Int, to output: Int, _ filter: Filter, _ positions: Range<Int>? = nil) throws {
    let positions = positions ?? 0..<output
    let scale = Double(input) / Double(output)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    let shrink = 1 / stretch
    var count = 0
    let runs = try Buffer<Run>(count: positions.count) { runs in
      for (i, position) in positions.enumerated() {
        let center = (Double(position) + 0.5) * scale
        let first = max(0, Int(center - support + 0.5))
        let end = min(input, Int(center + support + 0.5))
        runs[i] = Run(first: first, count: max(first, end) - first, offset: count)
        count += runs[i].count
      }
    }
    weights = try Buffer(count: count) { weights in
      for (position, run) in zip(positions, runs) {
        let center = (Double(position) + 0.5) * scale
        let weights = weights + run.offset
        var sum = 0.0
        for tap in 0..<run.count {
          weights[tap] = filter.kernel((Double(run.first + tap) - center + 0.5) * shrink)
          sum += weights[tap]
        }
        if sum != 0 {
          for tap in 0..<run.count { weights[tap] /= sum }
        }
      }
    }
    self.runs = runs
  }

  private init(_ runs: Buffer<Run>, _ weights: Buffer<Double>) {
    self.runs = runs
    self.weights = weights
  }

  /// The same for an axis that begins elsewhere.
  func shifted(by offset: Int) throws -> Taps {
    Taps(
      try Buffer(runs.lazy.map { Run(first: $0.first + offset, count: $0.count, offset: $0.offset) }), weights)
  }

  /// Which of the two passes comes first, which decides how the result is rounded.
  ///
  /// Pillow 13 starts with the columns where the height shrinks by more than twice what the width does;
  /// earlier versions always start with the rows, and differ by a level in such images.
  static func startWithColumns(from old: (width: Int, height: Int), to new: (width: Int, height: Int)) -> Bool {
    new.height < old.height && old.height - new.height > 2 * (old.width - new.width)
  }

  /// Bits after the point of `fixedPoint`: a byte times a weight, overshoot included, stays within 32 bits.
  static let fractionBits: Int32 = 22

  /// The weights as integers, halves rounded away from zero.
  var fixedPoint: Buffer<Int32> {
    get throws {
      try Buffer(weights.lazy.map { Int32($0 * Double(1 << Taps.fractionBits) + ($0 < 0 ? -0.5 : 0.5)) })
    }
  }
}

/// For each output position (`positions`: for some of them) the input position that contains its centre.
///
/// The centre advances by repeated addition because Pillow's does: where a centre falls on a border, rounding
/// decides.
func nearestPositions(from input: Int, to output: Int, _ positions: Range<Int>? = nil) throws -> Buffer<Int> {
  let positions = positions ?? 0..<output
  let scale = Double(input) / Double(output)
  var center = scale * 0.5
  for _ in 0..<positions.lowerBound { center += scale }
  return try Buffer(count: positions.count) { found in
    for i in 0..<positions.count {
      found[i] = min(input - 1, Int(center))
      center += scale
    }
  }
}
