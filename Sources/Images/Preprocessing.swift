// SPDX-License-Identifier: Apache-2.0
import Tensors

/// From pixels to the tensor that a network reads: the metadata entry `limpid.preprocess`, one step a line.
///
/// First come the steps on 8-bit pixels, then `scale`, then `normalize`; the last two may be missing.
public struct Preprocessing: Sendable, Equatable {
  public let steps: [Step]

  /// Throws `invalidModel`, naming the line, for a line that is none of the forms or in a wrong place.
  public init(parsing text: String) throws {
    var steps: [Step] = []
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    for (index, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
      let place = "line \(index + 1) of the preprocessing, \(quoted(String(line)))"
      guard let step = Step(parsing: line) else {
        throw Failure(.invalidModel, "\(place): it must be one of \(Step.forms)")
      }
      if let problem = Preprocessing.problem(of: step, after: steps) {
        throw Failure(.invalidModel, "\(place): \(problem)")
      }
      steps.append(step)
    }
    guard !steps.isEmpty else {
      throw Failure(
        .invalidModel, "the preprocessing is empty; each of its lines must be one of \(Step.forms)")
    }
    self.steps = steps
  }

  /// The text that it can be parsed from.
  public var description: String { steps.map(\.description).joined(separator: "\n") }

  private static func problem(of step: Step, after steps: [Step]) -> String? {
    let isScaled = steps.contains { if case .scale = $0 { true } else { false } }
    let isNormalized = steps.contains { if case .normalize = $0 { true } else { false } }
    switch step {
    case .scale: return isScaled || isNormalized ? "it must come once, and before \"normalize\"" : nil
    case .normalize(let mean, _, _):
      if isNormalized { return "it must come only once" }
      let channels = steps.contains(.gray) ? 1 : 3
      return mean.count == channels ? nil : "\(mean.count) means for an image of \(channels) channels"
    default: return isScaled || isNormalized ? "it must come before \"scale\" and \"normalize\"" : nil
    }
  }

  /// Channels of the tensor: 1 after `gray`, else 3.
  public var channels: Int { steps.contains(.gray) ? 1 : 3 }

  /// The extents of the tensor that an image of `size` becomes. Throws `unsupported` where it would be too
  /// large.
  public func outputSize(
    for size: (width: Int, height: Int)
  ) throws -> (channels: Int, height: Int, width: Int) {
    try Image.checkSize(size.width, size.height)
    let size = try steps.reduce(size) { try $1.size(after: $0) }
    return (channels, size.height, size.width)
  }

  /// Writes float32 values, [channels, height, width] of `outputSize`, rows touching.
  ///
  /// Alpha is dropped; grey pixels are repeated for a network that reads RGB. Throws as `outputSize`.
  public func tensor(from view: PixelView, into target: UnsafeMutablePointer<Float>) throws {
    let image = try pixels(of: view)
    let plane = image.width * image.height
    for channel in 0..<channels {
      let values = levels(of: channel)
      // A grey image has the same pixels in every channel.
      let offset = image.channels == 1 ? 0 : channel
      image.pixels.withUnsafeBufferPointer { source in
        values.withUnsafeBufferPointer { values in
          let target = target + channel * plane
          for i in 0..<plane { target[i] = values[Int(source[i * image.channels + offset])] }
        }
      }
    }
  }

  /// The image as the network sees it, RGB, before `scale` and `normalize`: resized and cropped.
  public func shown(_ view: PixelView) throws -> Image { try pixels(of: view).rgb }

  /// RGB or grey, after the steps on pixels.
  private func pixels(of view: PixelView) throws -> Image {
    try steps.reduce(Image(opaque: view)) { image, step in
      switch step {
      case .resizeShorter(_, let filter), .resizeExact(_, _, let filter):
        let size = try step.size(after: (image.width, image.height))
        return try image.resized(width: size.width, height: size.height, filter: filter)
      case .centerCrop(let width, let height): return try centerCropped(image, width: width, height: height)
      case .gray: return image.gray
      case .scale, .normalize: return image
      }
    }
  }

  /// What each of the 256 bytes becomes in `channel`.
  public func levels(of channel: Int) -> [Float] {
    var divisor = 1.0
    var mean = 0.0
    var std = 1.0
    var arithmetic = Arithmetic.float32
    for step in steps {
      if case .scale(let value) = step { divisor = value }
      if case .normalize(let means, let deviations, let rounding) = step {
        mean = means[channel]
        std = deviations[channel]
        arithmetic = rounding
      }
    }
    return (0..<256).map { byte in
      switch arithmetic {
      case .float32: (Float(byte) / Float(divisor) - Float(mean)) / Float(std)
      case .float64: Float((Double(byte) / divisor - mean) / std)
      }
    }
  }
}

extension Preprocessing: CustomStringConvertible {}

extension Preprocessing.Step {
  /// The size of an image of `size` after this step. Throws `unsupported` where it would be too large.
  func size(after size: (width: Int, height: Int)) throws -> (width: Int, height: Int) {
    switch self {
    case .resizeShorter(let shorter, _):
      let (short, long) = (min(size.width, size.height), max(size.width, size.height))
      let longer = Int(Double(shorter * long) / Double(short))
      let result =
        size.width <= size.height ? (width: shorter, height: longer) : (width: longer, height: shorter)
      try locating("\(quoted(description)) of an image of \(size.width)x\(size.height) pixels") {
        try Image.checkSize(result.width, result.height)
      }
      return result
    case .resizeExact(let width, let height, _), .centerCrop(let width, let height):
      try Image.checkSize(width, height)
      return (width, height)
    case .gray, .scale, .normalize: return size
    }
  }
}

extension Preprocessing {
  /// The part of an image of `size` that the network sees, in pixels of that image; black that a crop adds
  /// lies outside of it. Maps of the network's input cover just this part. Throws as `outputSize`.
  public func footprint(of size: (width: Int, height: Int)) throws -> Region {
    try Image.checkSize(size.width, size.height)
    var region = Region(x: 0, y: 0, width: Double(size.width), height: Double(size.height))
    var current = size
    for step in steps {
      let next = try step.size(after: current)
      if case .centerCrop = step {
        // Pixels of the image for one of the present pixels.
        let (across, down) = (region.width / Double(current.width), region.height / Double(current.height))
        region.x += Double(cropOffset(current.width, next.width)) * across
        region.y += Double(cropOffset(current.height, next.height)) * down
        region.width = Double(next.width) * across
        region.height = Double(next.height) * down
      }
      current = next
    }
    return region
  }
}
