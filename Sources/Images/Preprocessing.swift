// SPDX-License-Identifier: Apache-2.0
public import Parallel
import Tensors

/// From pixels to the tensor that a network reads: the metadata entry `limpid.preprocess`, one step a line.
///
/// First come the steps on 8-bit pixels, then `scale`, then `normalize`; the last two may be missing.
public struct Preprocessing: Sendable, Equatable {
  public let steps: [Step]

  /// More steps than any network needs are refused.
  public static let mostSteps = 64

  /// Throws `invalidModel`, naming the line, for a line that is none of the forms or in a wrong place.
  public init(parsing text: String) throws {
    var steps: [Step] = []
    let lines = text.split(omittingEmptySubsequences: false) { ["\n", "\r", "\r\n"].contains($0) }
    for (index, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
      guard steps.count < Self.mostSteps else {
        throw Failure(.invalidModel, "the preprocessing has more than \(Self.mostSteps) steps")
      }
      let place = "line \(index + 1) of the preprocessing, \(quoted(String(line)))"
      guard let step = Step(parsing: line) else {
        throw Failure(
          .invalidModel,
          "\(place): it must be one of \(Step.forms); sides are from 1 to \(Image.maximumSide), numbers "
            + "finite, and D and the deviations above 0")
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
    for channel in 0..<channels {
      guard levels(of: channel).allSatisfy(\.isFinite) else {
        throw Failure(.invalidModel, "the preprocessing makes numbers that are not finite in float32")
      }
    }
  }

  /// What callers give: the name of a usual one, or steps with semicolons or line breaks between them. Throws
  /// `invalidArgument`.
  public init(given text: String) throws {
    let steps = Self.usual[text] ?? String(text.map { $0 == ";" ? "\n" : $0 })
    do { try self.init(parsing: steps) } catch let failure as Failure {
      let names = Self.usual.keys.sorted().map(quoted).joined(separator: ", ")
      throw Failure(.invalidArgument, "\(failure.message), or one of the names \(names)")
    }
  }

  /// Of networks that were trained on ImageNet by torchvision's recipe: the middle of the image, or all of it.
  private static let usual = [
    "imagenet": "resize shorter 256 bilinear\ncenter_crop 224 224\n" + imagenetNumbers,
    "imagenet-exact": "resize exact 224 224 bilinear\n" + imagenetNumbers,
  ]
  private static let imagenetNumbers = "scale 1/255\nnormalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225"

  /// The text that it can be parsed from.
  public var description: String { steps.map(\.description).joined(separator: "\n") }

  private static func problem(of step: Step, after steps: [Step]) -> String? {
    let isScaled = steps.contains { if case .scale = $0 { true } else { false } }
    let isNormalized = steps.contains { if case .normalize = $0 { true } else { false } }
    switch step {
    case .scale: return isScaled || isNormalized ? "it must come once, and before \"normalize\"" : nil
    case .normalize(let mean, _, _):
      if isNormalized { return "it must come only once" }
      let channels = Self.channels(after: steps)
      let fits = mean.count == channels || mean.count == 1
      return fits ? nil : "\(mean.count) means for an image of \(channels) channels"
    default: break
    }
    if isScaled || isNormalized { return "it must come before \"scale\" and \"normalize\"" }
    switch step {
    case .bgr where steps.contains(.bgr) || steps.contains(.gray): return "it must come once, and not with \"gray\""
    case .gray where steps.contains(.bgr): return "it must not come with \"bgr\""
    case .alpha where steps.contains(.alpha): return "it must come only once"
    case .depth16 where steps.contains(.depth16): return "it must come only once"
    case .alpha where steps.contains(.depth16), .depth16 where steps.contains(.alpha):
      return "\"alpha\" and \"depth 16\" exclude each other"
    case .pad(let width, let height, _):
      guard let size = fixedSize(after: steps), size.width > width || size.height > height else { return nil }
      return "the image is \(size.width)x\(size.height) there, and pad never cuts"
    default: return nil
    }
  }

  /// Width and height after `steps`, where they are the same for images of every size.
  private static func fixedSize(after steps: [Step]) -> (width: Int, height: Int)? {
    steps.reduce(nil) { size, step in
      switch step {
      case .resizeExact(let width, let height, _), .centerCrop(let width, let height), .pad(let width, let height, _):
        (width, height)
      case .resizeShorter, .resizeLonger: nil
      case .gray, .bgr, .alpha, .depth16, .scale, .normalize: size
      }
    }
  }

  /// The extents of the tensor where they are the same for images of every size.
  public var fixedOutputSize: (channels: Int, height: Int, width: Int)? {
    Self.fixedSize(after: steps).map { (channels, $0.height, $0.width) }
  }

  /// Channels of the tensor: 1 after `gray`, else 3; with `alpha` one more.
  public var channels: Int { Self.channels(after: steps) }

  private static func channels(after steps: [Step]) -> Int {
    (steps.contains(.gray) ? 1 : 3) + (steps.contains(.alpha) ? 1 : 0)
  }

  var keepsAlpha: Bool { steps.contains(.alpha) }

  /// How image files are read for it.
  public var reading: Reading { Reading(deep: steps.contains(.depth16) ? .kept : .cut, keepsAlpha: keepsAlpha) }

  /// The extents of the tensor that an image of `size` becomes. Throws `unsupported` where it would be too
  /// large.
  public func outputSize(
    for size: (width: Int, height: Int)
  ) throws -> (channels: Int, height: Int, width: Int) {
    let size = try sizes(from: size).last ?? size
    return (channels, size.height, size.width)
  }

  /// Width and height after each step.
  func sizes(from size: (width: Int, height: Int)) throws -> [(width: Int, height: Int)] {
    try Image.checkSize(size.width, size.height)
    var current = size
    return try steps.enumerated().map { i, step in
      current = try step.size(after: current, isCut: isCut(i))
      return current
    }
  }

  /// Whether step `i` resizes an image of which the next step takes the middle: only that window is made.
  private func isCut(_ i: Int) -> Bool {
    // Alpha weighs the colours, of the whole image.
    guard i + 1 < steps.count, case .centerCrop = steps[i + 1], !keepsAlpha else { return false }
    switch steps[i] {
    case .resizeShorter, .resizeLonger, .resizeExact: return true
    default: return false
    }
  }

  /// Writes float32 values, [channels, height, width] of `outputSize`, rows touching.
  ///
  /// Alpha is dropped but for a network that reads it; grey pixels are repeated for one that reads RGB. Throws as
  /// `outputSize`, and `cancelled` where `progress`, which is asked between the rows, says so.
  public func tensor(
    from view: PixelView, into target: UnsafeMutablePointer<Float>, _ progress: Progress
  ) throws {
    if view.format.isDeep, !keepsAlpha { return try deepTensor(from: view, into: target, progress) }
    let image = try pixels(of: view, progress)
    let plane = image.width * image.height
    for channel in 0..<channels {
      let values = levels(of: channel)
      // A grey image has the same pixels in every channel.
      let offset = image.channels == 1 ? 0 : source(of: channel)
      image.pixels.withUnsafeBufferPointer { source in
        values.withUnsafeBufferPointer { values in
          let target = target + channel * plane
          for i in 0..<plane { target[i] = values[Int(source[i * image.channels + offset])] }
        }
      }
    }
  }

  /// Which channel of RGBA one of the tensor is.
  func source(of channel: Int) -> Int {
    if keepsAlpha, channel == channels - 1 { return 3 }
    return steps.contains(.bgr) ? 2 - channel : channel
  }

  /// The image as the network sees it, RGB, before `scale` and `normalize`: resized and cropped.
  public func shown(_ view: PixelView, _ progress: Progress) throws -> Image {
    let image = try pixels(of: view, progress)
    return try image.channels == 4 ? image.withView { try Image(opaque: $0) } : image.rgb
  }

  /// Bytes that such images take while they are prepared, at most: the image, what becomes of it in one step, and
  /// the image between the two passes of a resizing. Throws as `outputSize`.
  public func byteCount(for view: PixelView) throws -> Int {
    let size = (width: view.width, height: view.height)
    let isDeep = view.format.isDeep && !keepsAlpha
    // Of 16 bits each channel is a plane of floats.
    let perPixel = isDeep ? 4 * (view.format.channels + 1) : keepsAlpha ? 8 : 3
    var current = size
    var most = perPixel * size.width * size.height
    for (i, next) in try sizes(from: size).enumerated() {
      // Of an image that is cut at once only the window is made, with the next step.
      if isCut(i), !isDeep { continue }
      if next != current {
        let between = max(next.width * current.height, current.width * next.height)
        most = max(most, perPixel * (current.width * current.height + between + next.width * next.height))
      }
      current = next
    }
    return most
  }

  /// RGB or grey, after the steps on pixels.
  private func pixels(of view: PixelView, _ progress: Progress) throws -> Image {
    var image = try keepsAlpha ? Image(withAlpha: view) : Image(opaque: view)
    let sizes = try sizes(from: (view.width, view.height))
    for (i, step) in steps.enumerated() where i == 0 || !isCut(i - 1) {
      switch step {
      case .resizeShorter(_, let filter), .resizeLonger(_, let filter), .resizeExact(_, _, let filter):
        if isCut(i) {
          image = try Self.window(of: image, resizedTo: sizes[i], filter, cutTo: sizes[i + 1], progress)
        } else {
          image = try image.resized(width: sizes[i].width, height: sizes[i].height, filter: filter, progress)
        }
      case .centerCrop(let width, let height): image = try centered(image, width: width, height: height)
      case .pad(let width, let height, let fill):
        image = try centered(image, width: width, height: height, fill: fill)
      case .gray: image = try keepsAlpha ? image.grayWithAlpha : image.gray
      case .bgr, .alpha, .depth16, .scale, .normalize: break
      }
    }
    return image
  }

  /// The window of size `window` at the centre of `image` at the size `size`.
  private static func window(
    of image: Image, resizedTo size: (width: Int, height: Int), _ filter: Filter,
    cutTo window: (width: Int, height: Int), _ progress: Progress
  ) throws -> Image {
    let left = cropOffset(size.width, window.width), top = cropOffset(size.height, window.height)
    let part = try image.resized(
      width: size.width, height: size.height, filter: filter,
      columns: max(0, left)..<min(size.width, left + window.width),
      rows: max(0, top)..<min(size.height, top + window.height), progress)
    return try part.placed(
      left: max(0, -left), top: max(0, -top), width: window.width, height: window.height, fill: 0)
  }

  /// What each of the 256 bytes becomes in `channel`.
  public func levels(of channel: Int) -> [Float] {
    let level = level(in: channel)
    return (0..<256).map { level(steps.contains(.depth16) ? Float(257 * $0) : Float($0)) }
  }

  /// What numbers of the unit that `scale` and `normalize` are of become in `channel`.
  func level(in channel: Int) -> (Float) -> Float {
    var divisor = 1.0
    var mean = 0.0
    var std = 1.0
    var arithmetic = Arithmetic.float32
    for step in steps {
      if case .scale(let value) = step { divisor = value }
      if case .normalize(let means, let deviations, let rounding) = step {
        mean = means[means.count == 1 ? 0 : channel]
        std = deviations[deviations.count == 1 ? 0 : channel]
        arithmetic = rounding
      }
    }
    return { [divisor, mean, std, arithmetic] number in
      switch arithmetic {
      case .float32: (number / Float(divisor) - Float(mean)) / Float(std)
      case .float64: Float((Double(number) / divisor - mean) / std)
      }
    }
  }
}

extension Preprocessing: CustomStringConvertible {}

extension Preprocessing.Step {
  /// Sides of images of which only a window is made.
  private static let largestSide = 1 << 24

  /// The size of an image of `size` after this step; `isCut`: only a window of it is made. Throws `unsupported` where
  /// it would be too large, `invalidArgument` where `pad` would have to cut.
  func size(after size: (width: Int, height: Int), isCut: Bool) throws -> (width: Int, height: Int) {
    func checked(_ result: (width: Int, height: Int)) throws -> (width: Int, height: Int) {
      if isCut, max(result.width, result.height) <= Self.largestSide { return result }
      try locating("\(quoted(description)) of an image of \(size.width)x\(size.height) pixels") {
        try Image.checkSize(result.width, result.height)
      }
      return result
    }
    let (short, long) = (min(size.width, size.height), max(size.width, size.height))
    switch self {
    case .resizeShorter(let shorter, _):
      let longer = Int(Double(shorter * long) / Double(short))
      return try checked(size.width <= size.height ? (shorter, longer) : (longer, shorter))
    case .resizeLonger(let longer, _):
      let shorter = max(1, longer * short / long)
      return try checked(size.width <= size.height ? (shorter, longer) : (longer, shorter))
    case .resizeExact(let width, let height, _): return try checked((width, height))
    case .centerCrop(let width, let height): return try checked((width, height))
    case .pad(let width, let height, _):
      guard size.width <= width, size.height <= height else {
        throw Failure(
          .invalidArgument,
          "\(quoted(description)): the image is \(size.width)x\(size.height) there, and pad never cuts; "
            + "\"resize longer\" before it makes every image fit")
      }
      return try checked((width, height))
    case .gray, .bgr, .alpha, .depth16, .scale, .normalize: return size
    }
  }
}

extension Preprocessing {
  /// The part of an image of `size` that the network sees, in pixels of that image; what a crop or `pad` adds
  /// lies outside of it. Maps of the network's input cover just this part. Throws as `outputSize`.
  public func footprint(of size: (width: Int, height: Int)) throws -> Region {
    let sizes = try sizes(from: size)
    var region = Region(x: 0, y: 0, width: Double(size.width), height: Double(size.height))
    var current = size
    for (step, next) in zip(steps, sizes) {
      switch step {
      case .centerCrop, .pad:
        // Pixels of the image for one of the present pixels.
        let (across, down) = (region.width / Double(current.width), region.height / Double(current.height))
        region.x += Double(cropOffset(current.width, next.width)) * across
        region.y += Double(cropOffset(current.height, next.height)) * down
        region.width = Double(next.width) * across
        region.height = Double(next.height) * down
      default: break
      }
      current = next
    }
    return region
  }
}
