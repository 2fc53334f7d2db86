public import Images
public import Parallel
import Tensors

/// An image inside of a page, as a data: URI.
public struct InlineImage: Sendable {
  public let width: Int
  public let height: Int
  /// "data:image/jpeg;base64,…"
  let address: String

  /// `image`, made smaller where a side is longer than `longest`. Drawings stay as they are, byte for byte;
  /// photographs, whose PNG file is three times as long as their JPEG file or more, become JPEG.
  public init(_ image: Image, longest: Int = 480, _ progress: Progress) throws {
    let parts = progress.parts(1, 1, 1)
    let image = try image.fitting(longest, parts[0])
    let (exact, small) = (try image.encodePNG(parts[1]), try image.encodeJPEG(parts[2]))
    (width, height) = (image.width, image.height)
    let isDrawing = exact.count / 3 < small.count
    address = (isDrawing ? "data:image/png;base64," : "data:image/jpeg;base64,") + base64(isDrawing ? exact : small)
  }
}

extension Image {
  /// The same image, or a smaller one whose longer side is `longest`.
  fileprivate func fitting(_ longest: Int, _ progress: Progress) throws -> Image {
    let side = max(width, height)
    guard side > longest else { return self }
    return try resized(
      width: max(1, width * longest / side), height: max(1, height * longest / side), filter: .lanczos, progress)
  }
}

/// RFC 4648, section 4.
func base64(_ bytes: Buffer<UInt8>) -> String {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  let count = (bytes.count + 2) / 3 * 4
  return String(unsafeUninitializedCapacity: count) { text in
    for (group, start) in stride(from: 0, to: bytes.count, by: 3).enumerated() {
      let three = bytes[start..<min(start + 3, bytes.count)]
      let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < three.count ? Int(three[start + $1]) : 0) }
      for i in 0..<4 {
        text[4 * group + i] = i <= three.count ? alphabet[bits >> (18 - 6 * i) & 63] : UInt8(ascii: "=")
      }
    }
    return count
  }
}
