// SPDX-License-Identifier: Apache-2.0
public import Parallel
import Tensors

/// A row-major map, borrowed for the length of a call, and the values that the ends of a colour map stand
/// for.
public struct MapView {
  public let values: UnsafeBufferPointer<Float>
  public let width: Int
  public let height: Int
  public let minimum: Float
  public let maximum: Float

  /// Throws `invalidArgument` where `values` are not `width * height`.
  public init(
    values: UnsafeBufferPointer<Float>, width: Int, height: Int, minimum: Float, maximum: Float
  ) throws {
    try Image.checkSize(width, height)
    guard values.count == width * height else {
      throw Failure(.invalidArgument, "a map of \(width)x\(height) has not \(values.count) values")
    }
    self.values = values
    self.width = width
    self.height = height
    self.minimum = minimum
    self.maximum = maximum
  }

  /// The values between 0 (`minimum`) and 1 (`maximum`). What is not a number is 0, and so is a whole map
  /// whose `maximum` is not above its `minimum`.
  var normalized: Buffer<Float> {
    get throws {
      let range = maximum - minimum
      let isFlat = !(range > 0 && range.isFinite)
      return try Buffer(count: values.count) { target in
        for i in 0..<values.count {
          let share = isFlat ? 0 : (values[i] - minimum) / range
          target[i] = share > 0 ? min(share, 1) : 0
        }
      }
    }
  }
}

/// How a map becomes an image.
public struct Rendering: Sendable {
  /// Arithmetic and defaults.
  public enum Style: String, Sendable, CaseIterable {
    /// viridis at opacity 0.5; the map enlarged in floating point; everything rounded to nearest.
    case standard = "default"
    /// SCOUTER's overlays, byte for byte: an 8-bit map, enlarged as 8-bit pixels; matplotlib's jet at opacity
    /// 0.4.
    case scouter
    /// TAME's and L-CAM's overlays, byte for byte: OpenCV's jet at opacity 0.5.
    case tame
  }

  public var style = Style.standard
  /// Nil: the style's.
  public var colormap: Colormap?
  /// Of the map over the image, 0...1. Nil: the style's.
  public var opacity: Float?
  /// Of the result. Both 0: the size of the image, or of the map without one; one 0: the aspect ratio is
  /// kept.
  public var width = 0
  public var height = 0
  /// Every pixel of the image becomes a square of so many before anything else; 0 as 1.
  public var scale = 0
  /// The part of the image that the map covers, in pixels of the image (see `Preprocessing.footprint`);
  /// around it the image stays as it is. Nil: all of it. Without an image it says nothing.
  public var region: Region?

  public init(_ style: Style = .standard) { self.style = style }
}

/// A rectangle, in pixels, borders anywhere between them.
public struct Region: Sendable, Equatable {
  public var x, y, width, height: Double

  public init(x: Double, y: Double, width: Double, height: Double) {
    (self.x, self.y, self.width, self.height) = (x, y, width, height)
  }
}

/// The colours of `map`, over `image` where there is one, as RGB.
///
/// Throws `invalidArgument` for options out of range, `unsupported` for results beyond the size limits. `progress` is
/// asked between the rows whether to go on.
public func render(
  _ map: MapView, over image: PixelView? = nil, _ rendering: Rendering = Rendering(), _ progress: Progress
) throws -> Image {
  let opacity = rendering.opacity ?? rendering.style.opacity
  guard (0...1).contains(opacity) else {
    throw Failure(.invalidArgument, "an opacity of \(opacity); it must be between 0 and 1")
  }
  let own = image.map { (width: $0.width, height: $0.height) } ?? (width: map.width, height: map.height)
  let full = try rendering.scaled(own)
  let size = try rendering.size(for: full)
  let colors = (rendering.colormap ?? rendering.style.colormap).entries
  guard let image else {
    let levels = try rendering.style.levels(of: map, size.width, size.height, progress)
    var polling = Polling(progress)
    return try Image.make(size.width, size.height, 3) { target in
      try levels.withUnsafeBufferPointer { levels in
        for y in 0..<size.height {
          for i in y * size.width..<(y + 1) * size.width {
            for c in 0..<3 { target[3 * i + c] = colors[3 * Int(levels[i]) + c] }
          }
          try polling.count(8 * size.width)
        }
      }
    }
  }
  var canvas = try Image(opaque: image).rgb
  if full != own { canvas = try canvas.resized(width: full.width, height: full.height, filter: .nearest, progress) }
  canvas = try canvas.resized(width: size.width, height: size.height, filter: .bilinear, progress)
  let frame = try Frame(rendering.region, of: own, on: size)
  let levels = try rendering.style.levels(of: map, frame.width, frame.height, progress)
  return try canvas.painted(levels, colors, frame, rendering.style.mixtures(opacity), progress)
}

extension Rendering {
  /// Bytes that drawing a map of this size takes, over an image of that one or alone: canvases, what lies between the
  /// passes of a resizing, the map in colours, and the result. Throws as `render`.
  public func byteCount(
    map: (width: Int, height: Int), over image: (width: Int, height: Int)?
  ) throws -> Int {
    let own = image ?? map
    let full = try scaled(own)
    let size = try size(for: full)
    let frame = image == nil ? size : try Frame(region, of: own, on: size).size
    let levels = 4 * (map.width * map.height + frame.width * map.height) + 5 * frame.width * frame.height
    guard image != nil else { return levels + 3 * size.width * size.height }
    let between = max(size.width * full.height, full.width * size.height)
    return levels + 3 * (own.width * own.height + full.width * full.height + between + 2 * size.width * size.height)
  }

  fileprivate func scaled(_ size: (width: Int, height: Int)) throws -> (width: Int, height: Int) {
    guard scale >= 0, scale <= Image.maximumSide else {
      throw Failure(.invalidArgument, "a scale of \(scale); it must be between 1 and \(Image.maximumSide)")
    }
    guard scale > 1 else { return size }
    try Image.checkSize(size.width * scale, size.height * scale)
    return (size.width * scale, size.height * scale)
  }

  fileprivate func size(for full: (width: Int, height: Int)) throws -> (width: Int, height: Int) {
    guard width >= 0, height >= 0, width <= Image.maximumSide, height <= Image.maximumSide else {
      throw Failure(.invalidArgument, "an image of \(width)x\(height) pixels cannot be drawn")
    }
    let size =
      switch (width, height) {
      case (0, 0): full
      case (0, _): (max(1, full.width * height / full.height), height)
      case (_, 0): (width, max(1, full.height * width / full.width))
      default: (width, height)
      }
    try Image.checkSize(size.0, size.1)
    return size
  }
}

/// Where the map lies on the canvas, in whole pixels; it may reach beyond.
private struct Frame {
  let x, y, width, height: Int
  var size: (width: Int, height: Int) { (width, height) }

  init(_ region: Region?, of full: (width: Int, height: Int), on size: (width: Int, height: Int)) throws {
    let region = region ?? Region(x: 0, y: 0, width: Double(full.width), height: Double(full.height))
    let (across, down) = (Double(size.width) / Double(full.width), Double(size.height) / Double(full.height))
    let edges = [
      region.x * across, (region.x + region.width) * across, region.y * down,
      (region.y + region.height) * down,
    ].map { $0.rounded() }
    guard edges.allSatisfy({ abs($0) <= Double(Image.maximumSide) }), region.width > 0, region.height > 0
    else {
      throw Failure(.invalidArgument, "the map cannot be drawn on \(region)")
    }
    x = Int(edges[0])
    y = Int(edges[2])
    width = max(1, Int(edges[1]) - x)
    height = max(1, Int(edges[3]) - y)
    try Image.checkSize(width, height)
  }
}

extension Image {
  /// These RGB pixels, mixed with the colours of `levels`: [frame.height, frame.width].
  fileprivate func painted(
    _ levels: Buffer<UInt8>, _ colors: [UInt8], _ frame: Frame, _ mixtures: [UInt8], _ progress: Progress
  ) throws -> Image {
    var polling = Polling(progress)
    return try Image.make(width, height, 3) { target in
      target.update(from: pixels.base, count: pixels.count)
      for y in max(0, frame.y)..<max(0, frame.y, min(height, frame.y + frame.height)) {
        for x in max(0, frame.x)..<max(0, frame.x, min(width, frame.x + frame.width)) {
          let level = Int(levels[(y - frame.y) * frame.width + x - frame.x])
          let pixel = target + 3 * (y * width + x)
          for c in 0..<3 { pixel[c] = mixtures[Int(colors[3 * level + c]) << 8 | Int(pixel[c])] }
        }
        try polling.count(16 * width)
      }
    }
  }
}
