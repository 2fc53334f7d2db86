// SPDX-License-Identifier: Apache-2.0
public import Tensors

/// Pixels of 16 bits, interleaved, rows touching.
public struct DeepPixels: Sendable, Equatable {
  /// 1: grey, 3: RGB.
  public let channels: Int
  /// [height, width, channels]
  public let samples: Buffer<UInt16>

  /// What a sample is drawn as: 0…65535 brought to 0…255 and rounded.
  static func byte(_ sample: UInt16) -> UInt8 { UInt8((UInt32(sample) + 128) / 257) }
}

/// 8-bit pixels, interleaved, rows touching.
public struct Image: Sendable, Equatable {
  public let width: Int
  public let height: Int
  /// 1: grey, 3: RGB, 4: RGBA.
  public let channels: Int
  /// [height, width, channels]
  public let pixels: Buffer<UInt8>
  /// The same in 16 bits, of images that have and keep them; `pixels` are then those rounded.
  public let deep: DeepPixels?

  /// Larger sides are refused: JPEG cannot have them, and sums over a line stay small.
  public static let maximumSide = 65_535
  /// 134 million: 16,384 × 8,192; as RGB, 403 MB.
  public static let maximumPixels = 1 << 27

  /// Throws `invalidArgument` where the numbers do not fit together.
  public init(width: Int, height: Int, channels: Int, pixels: some Collection<UInt8>) throws {
    try Image.checkSize(width, height)
    guard [1, 3, 4].contains(channels) else {
      throw Failure(
        .invalidArgument, "an image of \(channels) channels; 1 (grey), 3 (RGB) and 4 (RGBA) exist")
    }
    guard pixels.count == width * height * channels else {
      throw Failure(
        .invalidArgument,
        "\(pixels.count) bytes for an image of \(width)x\(height) pixels, \(channels) bytes each")
    }
    self.init(trusted: width, height, channels, try Buffer(pixels))
  }

  /// For numbers that the module itself computed.
  init(trusted width: Int, _ height: Int, _ channels: Int, _ pixels: Buffer<UInt8>, deep: DeepPixels? = nil) {
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
    self.deep = deep
  }

  /// Throws `invalidArgument` for an empty image and `unsupported` for one beyond the limits.
  static func checkSize(_ width: Int, _ height: Int) throws {
    guard width >= 1, height >= 1 else {
      throw Failure(.invalidArgument, "an image of \(width)x\(height) pixels; both sides must be 1 or more")
    }
    guard width <= maximumSide, height <= maximumSide, width * height <= maximumPixels else {
      throw Failure(
        .unsupported,
        "\(width)x\(height) pixels are too many; "
          + "at most \(maximumPixels), and \(maximumSide) a side, are handled")
    }
  }

  /// Pixels that `write` fills from the first to the last. Throws where there is no memory for them.
  static func make(
    _ width: Int, _ height: Int, _ channels: Int, _ write: (UnsafeMutablePointer<UInt8>) throws -> Void
  ) throws -> Image {
    Image(trusted: width, height, channels, try Buffer(count: width * height * channels, write))
  }
}
