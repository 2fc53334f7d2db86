// SPDX-License-Identifier: Apache-2.0
import CCodecs
public import Parallel
import Tensors

/// What becomes of what image files may have beside RGB of 8 bits.
public struct Reading: Sendable, Hashable {
  public enum Deep: Sendable {
    /// Grey is cut off at 255, as by Pillow; of RGB the high byte is kept.
    case cut
    case highByte
    case kept
  }

  /// Samples of 16 bits.
  public var deep: Deep
  /// Whether images have four channels, opaque where the file has no alpha; else alpha is dropped.
  public var keepsAlpha: Bool

  public init(deep: Deep = .cut, keepsAlpha: Bool = false) { (self.deep, self.keepsAlpha) = (deep, keepsAlpha) }

  /// The same with what a caller says of samples of 16 bits: `bits` 8 or 16, 0 to leave it; `highByte`. Throws
  /// `invalidArgument` for other numbers, and where both are said.
  public func choosing(bits: Int, highByte: Bool) throws -> Reading {
    guard [0, 8, 16].contains(bits) else {
      throw Failure(.invalidArgument, "images of \(bits) bits; 8 or 16 can be chosen")
    }
    guard bits != 16 || !highByte else {
      throw Failure(.invalidArgument, "all 16 bits and the high byte exclude each other")
    }
    var chosen = self
    if bits != 0 { chosen.deep = bits == 16 ? .kept : .cut }
    if highByte { chosen.deep = .highByte }
    return chosen
  }

  fileprivate var kept: lp_kept {
    get throws {
      guard deep != .kept || !keepsAlpha else {
        throw Failure(.unsupported, "an image cannot keep both its 16 bits and its alpha")
      }
      return deep == .kept ? LP_KEEP_16_BITS : keepsAlpha ? LP_KEEP_ALPHA : LP_KEEP_COLORS
    }
  }
}

extension Image {
  /// A PNG, JPEG or WebP file, told by its first bytes, as RGB: the bytes that Pillow's `open(...).convert("RGB")`
  /// gives, or as RGBA those of `convert("RGBA")`.
  ///
  /// Palettes are applied, EXIF orientation, gamma and colour profiles ignored; `reading` says what becomes of alpha,
  /// transparent colours and samples of 16 bits.
  /// `warn` is told where the image may not be what was meant. Throws `invalidImage` for anything else and for damaged
  /// or truncated data, `unsupported` beyond the size limits, and for WebP where libwebp is not on the machine.
  /// `progress` is asked between the rows whether to go on.
  public static func decode(
    _ bytes: UnsafeRawBufferPointer, as reading: Reading = Reading(), _ progress: Progress,
    warn: (String) -> Void = { _ in }
  ) throws -> Image {
    let kept = try reading.kept
    let starts = { (signature: [UInt8]) in bytes.starts(with: signature) }
    if starts([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      let decoder: Decoder = { lp_decode_png($0, $1, $2, $3, kept, $4, $5, $6) }
      return try decode(bytes, reading, warn, "PNG", decoder, progress)
    }
    if starts([0xFF, 0xD8, 0xFF]) { return try decode(bytes, reading, warn, "JPEG", lp_decode_jpeg, progress) }
    if starts(Array("RIFF".utf8)), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
      let decoder: Decoder = { lp_decode_webp($0, $1, $2, $3, kept, $4, $5, $6) }
      return try decode(bytes, reading, warn, "WebP", decoder, progress)
    }
    if bytes.isEmpty { throw Failure(.invalidImage, "an empty image file") }
    if let kind = fileKind(bytes) {
      throw Failure(.invalidImage, "this is \(kind), neither a PNG, JPEG nor WebP file; convert it to one of these")
    }
    let start = bytes.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    throw Failure(.invalidImage, "neither a PNG, JPEG nor WebP file; it starts with the bytes \(start)")
  }

  private typealias Decoder = (
    UnsafePointer<UInt8>?, Int, UInt32, UInt64, lp_watch, UnsafeMutablePointer<lp_image>?,
    UnsafeMutablePointer<CChar>?
  ) -> lp_status

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, _ reading: Reading, _ warn: (String) -> Void, _ format: String, _ decoder: Decoder,
    _ progress: Progress
  ) throws -> Image {
    var decoded = lp_image()
    try checked("this \(format) image cannot be read", .invalidImage, progress) { watch, message in
      decoder(
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, UInt32(maximumSide),
        UInt64(maximumPixels), watch, &decoded, message)
    }
    guard let samples = decoded.samples else { throw Failure(.internal, "a decoder gave no pixels") }
    let (width, height) = (Int(decoded.width), Int(decoded.height))
    if decoded.is_resynchronized != 0 {
      warn("the restart markers of this JPEG image are not in their order; parts of it may be misplaced")
    }
    if decoded.kind == LP_RGB8 || decoded.kind == LP_RGBA8 {
      let bytes = samples.assumingMemoryBound(to: UInt8.self)
      let channels = decoded.kind == LP_RGB8 ? 3 : 4
      return Image(trusted: width, height, channels, Buffer(adopting: bytes, count: channels * width * height))
    }
    if reading.deep == .kept, [LP_GRAY16, LP_RGB16].contains(decoded.kind) {
      let channels = decoded.kind == LP_GRAY16 ? 1 : 3
      let words = samples.assumingMemoryBound(to: UInt16.self)
      let count = channels * width * height
      return try image(
        of: DeepPixels(channels: channels, samples: Buffer(adopting: words, count: count)), width, height)
    }
    defer { lp_free(samples) }
    if decoded.kind == LP_GRAY16 {
      return try rgb(samples.assumingMemoryBound(to: UInt16.self), width, height, reading.deep == .highByte, warn)
    }
    return try rgb(samples, decoded.kind, width, height)
  }

  /// Of grey, RGB too.
  private static func image(of deep: DeepPixels, _ width: Int, _ height: Int) throws -> Image {
    let bytes = try Buffer<UInt8>(count: 3 * width * height) { target in
      deep.samples.withUnsafeBufferPointer { words in
        if deep.channels == 3 {
          for i in 0..<words.count { target[i] = DeepPixels.byte(words[i]) }
        } else {
          for i in 0..<words.count { spread(DeepPixels.byte(words[i]), target + 3 * i) }
        }
      }
    }
    return Image(trusted: width, height, 3, bytes, deep: deep)
  }

  /// Grey of 16 bits. Pillow holds such an image as integers and cuts them off.
  private static func rgb(
    _ words: UnsafePointer<UInt16>, _ width: Int, _ height: Int, _ highByte: Bool, _ warn: (String) -> Void
  ) throws -> Image {
    var largest: UInt16 = 0
    let image = try make(width, height, 3) { target in
      for i in 0..<width * height {
        largest = max(largest, words[i])
        spread(highByte ? UInt8(words[i] >> 8) : UInt8(clamping: words[i]), target + 3 * i)
      }
    }
    if !highByte, largest > 255 {
      warn(
        "this PNG image holds grey of 16 bits, which is cut off at 255 (as by Pillow; its largest is \(largest)); its high "
          + "byte can be asked for (high_byte), or all of its bits (bits 16)")
    }
    return image
  }

  /// Pillow's conversions to RGB of the kinds of samples that the decoders give beside RGB.
  private static func rgb(_ samples: UnsafeRawPointer, _ kind: lp_samples, _ width: Int, _ height: Int) throws
    -> Image
  {
    let bytes = samples.assumingMemoryBound(to: UInt8.self)
    let count = width * height
    return try make(width, height, 3) { target in
      switch kind {
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
/// message, but for what the watch on `progress` ended it with.
func checked(
  _ what: String, _ damaged: Failure.Kind, _ progress: Progress,
  _ call: (lp_watch, UnsafeMutablePointer<CChar>?) -> lp_status
) throws {
  var message = [CChar](repeating: 0, count: Int(LP_MESSAGE_SIZE))
  let watch = CodecWatch(progress)
  let status = withExtendedLifetime(watch) {
    message.withUnsafeMutableBufferPointer { call(watch.watch, $0.baseAddress) }
  }
  if status == LP_OK { return }
  if let failure = watch.failure { throw failure }
  if status == LP_NO_MEMORY { throw Failure(.unsupported, "\(what): no memory") }
  let text = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  throw Failure(status == LP_UNSUPPORTED ? .unsupported : damaged, "\(what): \(text)")
}
