// SPDX-License-Identifier: Apache-2.0
import CCodecs
import Tensors

extension Image {
  /// A PNG or JPEG file, told by its first bytes, as RGB: the bytes that Pillow's `open(...).convert("RGB")`
  /// gives.
  ///
  /// Alpha and transparent colours are dropped, palettes applied, EXIF orientation, gamma and colour profiles
  /// ignored. Throws `invalidImage` for anything else and for damaged or truncated data, `unsupported` beyond
  /// the size limits.
  public static func decode(_ bytes: UnsafeRawBufferPointer) throws -> Image {
    let starts = { (signature: [UInt8]) in bytes.starts(with: signature) }
    if starts([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      return try decode(bytes, "PNG", lp_decode_png)
    }
    if starts([0xFF, 0xD8, 0xFF]) { return try decode(bytes, "JPEG", lp_decode_jpeg) }
    if bytes.isEmpty { throw Failure(.invalidImage, "an empty image file") }
    if let kind = fileKind(bytes) {
      throw Failure(.invalidImage, "this is \(kind), neither a PNG nor a JPEG file; convert it to one of these")
    }
    let start = bytes.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    throw Failure(.invalidImage, "neither a PNG nor a JPEG file; it starts with the bytes \(start)")
  }

  private typealias Decoder = (
    UnsafePointer<UInt8>?, Int, UInt32, UInt64, UnsafeMutablePointer<lp_image>?, UnsafeMutablePointer<CChar>?
  ) -> lp_status

  private static func decode(_ bytes: UnsafeRawBufferPointer, _ format: String, _ decoder: Decoder) throws
    -> Image
  {
    var decoded = lp_image()
    try checked("this \(format) image cannot be read", .invalidImage) { message in
      decoder(
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, UInt32(maximumSide),
        UInt64(maximumPixels), &decoded, message)
    }
    guard let samples = decoded.samples else { throw Failure(.internal, "a decoder gave no pixels") }
    let (width, height) = (Int(decoded.width), Int(decoded.height))
    if decoded.kind == LP_RGB8 {
      let bytes = samples.assumingMemoryBound(to: UInt8.self)
      return Image(trusted: width, height, 3, Buffer(adopting: bytes, count: 3 * width * height))
    }
    defer { lp_free(samples) }
    return try rgb(samples, decoded.kind, width, height)
  }

  /// Pillow's conversions to RGB of the kinds of samples that the decoders give beside RGB.
  private static func rgb(_ samples: UnsafeRawPointer, _ kind: lp_samples, _ width: Int, _ height: Int) throws
    -> Image
  {
    let bytes = samples.assumingMemoryBound(to: UInt8.self)
    let count = width * height
    return try make(width, height, 3) { target in
      switch kind {
      case LP_GRAY16:
        // Clipped, not scaled: Pillow holds such an image as integers and cuts them off.
        let words = samples.assumingMemoryBound(to: UInt16.self)
        for i in 0..<count { spread(UInt8(clamping: words[i]), target + 3 * i) }
      case LP_CMYK8:
        for i in 0..<count { convertCMYK(bytes + 4 * i, target + 3 * i) }
      default:
        for i in 0..<count { spread(bytes[i], target + 3 * i) }
      }
    }
  }

  @inline(__always)
  private static func spread(_ value: UInt8, _ target: UnsafeMutablePointer<UInt8>) {
    target[0] = value
    target[1] = value
    target[2] = value
  }

  /// `stored` is 255 - ink, as Adobe's programs write it; Pillow assumes it of every CMYK JPEG.
  @inline(__always)
  private static func convertCMYK(_ stored: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>) {
    let light = UInt32(stored[3])
    for c in 0..<3 {
      let ink = 255 - UInt32(stored[c])
      target[c] = UInt8(truncatingIfNeeded: light - dividedBy255(ink * light))
    }
  }
}

/// `x / 255` rounded, for products of two bytes.
@inline(__always)
func dividedBy255(_ x: UInt32) -> UInt32 {
  let t = x + 128
  return ((t >> 8) + t) >> 8
}

/// Runs a call of the codecs; a failure becomes a `Failure` that starts with `what` and ends with the codec's
/// message.
func checked(
  _ what: String, _ damaged: Failure.Kind, _ call: (UnsafeMutablePointer<CChar>?) -> lp_status
) throws {
  var message = [CChar](repeating: 0, count: Int(LP_MESSAGE_SIZE))
  let status = message.withUnsafeMutableBufferPointer { call($0.baseAddress) }
  if status == LP_OK { return }
  if status == LP_NO_MEMORY { throw Failure(.unsupported, "\(what): no memory") }
  let text = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  throw Failure(status == LP_UNSUPPORTED ? .unsupported : damaged, "\(what): \(text)")
}
