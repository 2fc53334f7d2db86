import Glibc
import Images
import Parallel
import Tensors

/// An image in RGB, 8 bits a channel.
public struct Image: Sendable {
  let image: Images.Image

  init(_ image: Images.Image) { self.image = image }

  /// A PNG, JPEG or WebP file.
  public init(path: String) throws {
    image = try translated {
      let file = try path.withCString { try Storage(path: $0) }
      return try locating(quoted(path)) { try file.withBytes { try Images.Image.decode($0, .unwatched) } }
    }
  }

  /// Rows of red, green, blue.
  public init(width: Int, height: Int, rgb: [UInt8]) throws {
    image = try translated { try Images.Image(width: width, height: height, channels: 3, pixels: rgb) }
  }

  public var width: Int { image.width }
  public var height: Int { image.height }
  /// Rows of red, green, blue.
  public var rgb: [UInt8] { Array(image.pixels) }

  public func png() throws -> [UInt8] { Array(try translated { try image.encodePNG(.unwatched) }) }

  /// Writes a PNG file.
  public func write(to path: String) throws {
    try translated {
      let bytes = try image.encodePNG(.unwatched)
      guard let file = fopen(path, "wb") else {
        throw Failure(.io, "\(quoted(path)): \(String(cString: strerror(errno)))")
      }
      let written = bytes.withUnsafeBufferPointer { fwrite($0.baseAddress, 1, $0.count, file) }
      guard fclose(file) == 0, written == bytes.count else {
        throw Failure(.io, "\(quoted(path)) could not be written whole")
      }
    }
  }
}
