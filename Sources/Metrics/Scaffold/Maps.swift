import Images
import Parallel
public import Tensors

/// The maps that are measured, one after the other.
public struct Maps: Sendable {
  public let count: Int
  /// 1 for a map, that of the model's input for attributions.
  public let channels: Int
  public let height: Int
  public let width: Int
  /// Whether they were given as bytes.
  public let areBytes: Bool
  private let values: [Float]

  /// [height, width], [maps, height, width] or [maps, channels, height, width].
  public init(_ tensor: Tensor) throws {
    let extents = tensor.shape.dimensions
    guard (2...4).contains(extents.count), extents.allSatisfy({ $0 > 0 }) else {
      throw Failure(
        .invalidArgument, "maps are [maps, height, width] or [maps, channels, height, width], not \(tensor.shape)")
    }
    count = extents.count == 2 ? 1 : extents[0]
    channels = extents.count == 4 ? extents[1] : 1
    (height, width) = (extents[extents.count - 2], extents[extents.count - 1])
    areBytes = tensor.type == .uint8
    values = try locating("maps") { try tensor.floats().array(of: Float.self) }
  }

  var planeSize: Int { height * width }

  /// Map `index`, [channels, height, width].
  subscript(index: Int) -> Map {
    let size = channels * planeSize
    return Map(
      values: Array(values[index * size..<(index + 1) * size]), channels: channels, height: height, width: width,
      areBytes: areBytes)
  }

  /// Of each map whether all of its values are finite numbers.
  var areFinite: [Bool] {
    let size = channels * planeSize
    return (0..<count).map { areBytes || values[$0 * size..<($0 + 1) * size].allSatisfy(\.isFinite) }
  }

  /// The largest magnitude of all maps that are finite.
  var largestMagnitude: Float {
    zip(0..., areFinite).lazy.filter(\.1).map { self[$0.0].values.reduce(0) { max($0, abs($1)) } }.max() ?? 0
  }
}

/// One map, or the attribution of every colour.
struct Map {
  /// [channels, height, width]
  var values: [Float]
  let channels: Int
  let height: Int
  let width: Int
  let areBytes: Bool

  init(values: [Float], channels: Int = 1, height: Int, width: Int, areBytes: Bool = false) {
    (self.values, self.channels, self.areBytes) = (values, channels, areBytes)
    (self.height, self.width) = (height, width)
  }

  var size: Int { height * width }

  /// Each channel at another size: bilinear, half-pixel centres, as PyTorch; unchanged at its own size.
  func resized(height newHeight: Int, width newWidth: Int) throws -> Map {
    guard (newHeight, newWidth) != (height, width) else { return self }
    var result: [Float] = []
    for c in 0..<channels {
      result += try values[c * size..<(c + 1) * size].withUnsafeBufferPointer {
        try upsample($0, width: width, height: height, to: (width: newWidth, height: newHeight), .unwatched)
      }
    }
    return Map(values: result, channels: channels, height: newHeight, width: newWidth)
  }

  /// One value a pixel: the sum over the channels.
  var flat: [Float] {
    guard channels > 1 else { return values }
    var sums = Array(values[..<size])
    for c in 1..<channels { for p in 0..<size { sums[p] += values[c * size + p] } }
    return sums
  }

  /// A value for every one of `wanted` channels: a single one stands for all.
  func spread(over wanted: Int) throws -> [Float] {
    if channels == wanted { return values }
    guard channels == 1 else {
      throw Failure(.invalidArgument, "maps have \(channels) channels; the model's input has \(wanted)")
    }
    return (0..<wanted).flatMap { _ in values }
  }

  /// As SCOUTER's evaluation stores maps: bytes, ⌊255·(a − low)/(high − low)⌋. Without a range the values must be bytes
  /// already.
  func bytes(range: (low: Float, high: Float)?) throws -> [UInt8] {
    guard channels == 1 else {
      throw Failure(.invalidArgument, "this reads one map of bytes for an image, not \(channels) channels")
    }
    if !areBytes, let (low, high) = range {
      let extent = high - low
      return values.map { value in
        let share = (value - low) / extent
        return extent > 0 && share.isFinite ? UInt8(min(max(share * 255, 0), 255)) : 0
      }
    }
    return try values.map { value in
      guard let byte = UInt8(exactly: value) else {
        throw Failure(
          .invalidArgument,
          "the maps must be bytes, 0 to 255, or come with draws \"range\", [maps, 2]: what 0 and 255 "
            + "stand for")
      }
      return byte
    }
  }
}

extension Map {
  /// Bytes at another size, as Pillow enlarges 8-bit images (bilinear).
  static func enlarged(
    _ bytes: [UInt8], height: Int, width: Int, to new: (height: Int, width: Int)
  ) throws -> [UInt8] {
    let image = try Image(width: width, height: height, channels: 1, pixels: bytes)
    return Array(try image.resized(width: new.width, height: new.height, filter: .bilinear, .unwatched).pixels)
  }
}
