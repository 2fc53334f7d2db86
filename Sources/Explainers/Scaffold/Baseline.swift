import Explanations
import Glibc
import Images
import Models
import Tensors

/// What masked parts of an image show instead of it.
enum Baseline: String, CaseIterable {
  /// 0 where the model is fed: for most models the mean colour of their training images.
  case zero
  /// What black is fed as; needs a model that says how images are prepared.
  case black
  /// The mean colour of the image.
  case mean
  /// The image behind a Gaussian of a tenth of its shorter side.
  case blur
  /// Normal noise of the image's own mean and standard deviation, colour by colour.
  case noise

  static let parameter = Parameter(
    "baseline", default: zero,
    "What masked parts show: zero (as fed), black, mean (the image's mean colour), blur, or noise like the image.")

  /// [channels, height, width]; nil for 0 everywhere.
  func values(of subject: Subject, _ request: ExplanationRequest) throws -> [Float]? {
    let size = subject.pixels
    func each(_ body: (_ channel: Int, _ values: UnsafeBufferPointer<Float>) -> [Float]) -> [Float] {
      withExtendedLifetime(subject.input) {
        (0..<subject.channels).flatMap { c in
          body(c, UnsafeBufferPointer(start: subject.start + c * size, count: size))
        }
      }
    }
    switch self {
    case .zero: return nil
    case .black:
      guard let black = request.model.metadata.preprocessing?.blackLevels, black.count == subject.channels else {
        throw Failure(
          .invalidArgument,
          "the baseline \"black\" needs a model file that says how images are prepared; take "
            + "\"zero\" or \"mean\"")
      }
      return each { c, _ in [Float](repeating: black[c], count: size) }
    case .mean:
      return each { _, values in [Float](repeating: Float(Self.moments(values).mean), count: size) }
    case .blur:
      let sigma = max(1, Double(min(subject.width, subject.height)) / 10)
      let filter = GaussianFilter(sigma: sigma, radius: Int((3 * sigma).rounded(.up)), border: .reflected)
      return each { _, values in filter(Array(values), height: subject.height, width: subject.width) }
    case .noise:
      let random = RandomNumbers(seed: request.seed, .baseline)
      return each { c, values in
        let (mean, deviation) = Self.moments(values)
        return (0..<size).map { Float(mean) + Float(deviation) * random.normal(c * size + $0) }
      }
    }
  }

  private static func moments(_ values: UnsafeBufferPointer<Float>) -> (mean: Double, deviation: Double) {
    let count = Double(max(1, values.count))
    let mean = values.reduce(0.0) { $0 + Double($1) } / count
    let squares = values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    return (mean, (squares / count).squareRoot())
  }
}

extension Subject {
  /// The image where `mask` is 1, the baseline where it is 0, a mixture between: x·m + b·(1 − m).
  func write(
    mask: UnsafePointer<Float>, over baseline: [Float]?, into target: UnsafeMutablePointer<Float>
  ) {
    let (source, size) = (start, pixels)
    withExtendedLifetime(input) {
      for c in 0..<channels {
        for i in c * size..<(c + 1) * size { target[i] = source[i] * mask[i - c * size] }
        guard let baseline else { continue }
        for i in c * size..<(c + 1) * size { target[i] += baseline[i] * (1 - mask[i - c * size]) }
      }
    }
  }
}

extension Preprocessing {
  /// What a black pixel is fed as, in each channel.
  var blackLevels: [Float]? {
    for case .normalize(let mean, let std, _) in steps { return zip(mean, std).map { Float(-$0 / $1) } }
    return [Float](repeating: 0, count: channels)
  }
}
