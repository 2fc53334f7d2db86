import Explanations
import Glibc
import Images
import Models
import Tensors

/// What pixels show that are not, or not yet, the image's.
enum Filling: String, CaseIterable {
  /// As the metric, or the program that `compat` names, has it.
  case auto
  /// 0 where the model is fed: for most models the mean colour of their training images.
  case zero
  /// What black is fed as; needs a model that says how images are prepared.
  case black
  /// The largest value that the model is fed: white, where it says how images are prepared.
  case white
  /// The mean colour of the image.
  case mean
  /// The image behind a Gaussian, by `kernel` and `sigma` where the metric has them.
  case blur

  /// [channels, height, width]
  func values(of subject: Subject, _ model: Model, blur: Blur = Blur(kernel: 11, sigma: 5)) throws -> [Float] {
    let size = subject.pixels
    switch self {
    case .auto, .zero: return [Float](repeating: 0, count: subject.count)
    case .black, .white:
      let levels = try colors(of: subject, model)
      return levels.flatMap { [Float](repeating: $0, count: size) }
    case .mean:
      let values = subject.values
      return (0..<subject.channels).flatMap { c in
        let sum = values[c * size..<(c + 1) * size].reduce(0.0) { $0 + Double($1) }
        return [Float](repeating: Float(sum / Double(max(1, size))), count: size)
      }
    case .blur: return blur(subject)
    }
  }

  private func colors(of subject: Subject, _ model: Model) throws -> [Float] {
    let level: Float = self == .white ? 1 : 0
    guard model.metadata.preprocessing != nil else {
      throw Failure(
        .invalidArgument,
        "\(quoted(rawValue)) needs a model file that says how images are prepared; take \"zero\" or "
          + "\"mean\"")
    }
    guard let colors = Normalization(model) else { return [Float](repeating: level, count: subject.channels) }
    guard colors.mean.count == subject.channels else {
      throw Failure(.invalidModel, "images are prepared in \(colors.mean.count) channels, not \(subject.channels)")
    }
    return (0..<subject.channels).map { (level - colors.mean[$0]) / colors.std[$0] }
  }
}

/// How the model's images are normalised, channel by channel: (x − mean) / std.
struct Normalization {
  let mean: [Float]
  let std: [Float]

  /// What CA-Stream's programs have in their code.
  static let imageNet = Normalization(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

  private init(mean: [Float], std: [Float]) { (self.mean, self.std) = (mean, std) }

  /// nil where the model file does not say it.
  init?(_ model: Model) {
    for case .normalize(let mean, let std, _) in model.metadata.preprocessing?.steps ?? [] {
      self.init(mean: mean.map { Float($0) }, std: std.map { Float($0) })
      return
    }
    return nil
  }

  /// As CA-Stream's programs have it: what the model file says, else ImageNet's.
  static func caStream(_ model: Model, channels: Int) throws -> Normalization {
    let found = Normalization(model) ?? imageNet
    guard found.mean.count == channels else {
      throw Failure(
        .invalidArgument,
        "compat \"ca-stream\" needs a model that says how its images of \(channels) channels are "
          + "normalised")
    }
    return found
  }
}

/// RISE's blur: an impulse of `kernel`² pixels behind a Gaussian with mirrored borders (the edge repeated), which is no
/// plain Gaussian, laid over each channel with zeros around it.
struct Blur {
  /// One axis, summing to 1.
  let weights: [Double]

  init(kernel: Int, sigma: Double) {
    let radius = Int(4 * sigma + 0.5)
    let gaussian = (-radius...radius).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
    let sum = gaussian.reduce(0, +)
    var weights = [Double](repeating: 0, count: kernel)
    for i in 0..<kernel {
      for (k, value) in gaussian.enumerated() {
        // Mirrored with the edge repeated: period 2·kernel.
        let place = ((i + k - radius) % (2 * kernel) + 2 * kernel) % (2 * kernel)
        if (place < kernel ? place : 2 * kernel - 1 - place) == kernel / 2 { weights[i] += value / sum }
      }
    }
    self.weights = weights
  }

  func callAsFunction(_ subject: Subject) -> [Float] {
    let values = subject.values
    return (0..<subject.channels).flatMap { c in
      let plane = values[c * subject.pixels..<(c + 1) * subject.pixels].map { Double($0) }
      let columns = along(plane, count: subject.height, step: subject.width, lines: subject.width, lineStep: 1)
      let rows = along(columns, count: subject.width, step: 1, lines: subject.height, lineStep: subject.width)
      return rows.map { Float($0) }
    }
  }

  private func along(_ plane: [Double], count: Int, step: Int, lines: Int, lineStep: Int) -> [Double] {
    var result = [Double](repeating: 0, count: plane.count)
    for i in 0..<count {
      for (k, weight) in weights.enumerated() {
        let j = i + k - weights.count / 2
        guard j >= 0, j < count else { continue }
        for line in 0..<lines { result[line * lineStep + i * step] += weight * plane[line * lineStep + j * step] }
      }
    }
    return result
  }
}
