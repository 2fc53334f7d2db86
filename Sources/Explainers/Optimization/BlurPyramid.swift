import Explanations
import Glibc
import Models
import Parallel
import Tensors

/// An image from gone to whole in some levels, by Gaussians or by fading to 0.
struct BlurPyramid {
  private let levels: [[Float]]
  private let pixels: Int

  /// Level l is behind a Gaussian of `sigma`·(1 − l/(levels − 1)), or times l/(levels − 1).
  /// `progress` is asked between them whether to go on.
  init(_ subject: Subject, levels count: Int, sigma: Double, isFading: Bool, _ progress: Progress) throws {
    pixels = subject.pixels
    let values = withExtendedLifetime(subject.input) {
      Array(UnsafeBufferPointer(start: subject.start, count: subject.shape.count))
    }
    let pixels = pixels
    levels = try (0..<count).map { level in
      try progress.polling.advance(0, of: 1)
      let share = Double(level) / Double(count - 1)
      if isFading { return values.map { $0 * Float(share) } }
      let filter = Self.filter(sigma: sigma * (1 - share))
      return try (0..<subject.channels).flatMap { c in
        try progress.polling.advance(0, of: 1)
        return filter(Array(values[c * pixels..<(c + 1) * pixels]), height: subject.height, width: subject.width)
      }
    }
  }

  /// TorchRay's: 4 sigma to each side, nothing outside of the image.
  static func filter(sigma: Double) -> GaussianFilter {
    let radius = Int((4 * sigma).rounded(.up))
    let unit = 2.0.squareRoot() * sigma + 0x1p-23
    return GaussianFilter(
      weights: (-radius...radius).map { exp(-(Double($0) / unit) * (Double($0) / unit)) }, border: .zero)
  }

  /// Each pixel from the level that its mask picks, between two a mixture.
  func write(_ mask: [Double], into target: UnsafeMutablePointer<Float>) {
    for (i, place) in mask.map(place).enumerated() {
      for k in stride(from: i, to: levels[0].count, by: pixels) {
        target[k] = (1 - place.share) * levels[place.level][k] + place.share * levels[place.next][k]
      }
    }
  }

  /// The gradient by the mask, of that by what `write` wrote.
  func adjoint(_ gradient: [Float], _ mask: [Double]) -> [Double] {
    mask.enumerated().map { i, value in
      let place = place(value)
      var sum = 0.0
      for k in stride(from: i, to: levels[0].count, by: pixels) {
        sum += Double(gradient[k]) * Double(levels[place.next][k] - levels[place.level][k])
      }
      return sum * Double(levels.count - 1)
    }
  }

  private func place(_ value: Double) -> (level: Int, next: Int, share: Float) {
    let position = value.isFinite ? value * Double(levels.count - 1) : 0
    let level = min(levels.count - 1, max(0, Int(position)))
    return (level, min(levels.count - 1, level + 1), Float(position - Double(level)))
  }
}
