// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Preprocessing {
  /// Width and height after `steps`, where they are the same for images of every size.
  static func fixedSize(after steps: [Step]) -> (width: Int, height: Int)? {
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
  func isCut(_ i: Int) -> Bool {
    // Alpha weighs the colours, of the whole image.
    guard i + 1 < steps.count, case .centerCrop = steps[i + 1], !keepsAlpha else { return false }
    switch steps[i] {
    case .resizeShorter, .resizeLonger, .resizeExact: return true
    default: return false
    }
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
