// SPDX-License-Identifier: Apache-2.0
import CCodecs
public import Parallel
public import Tensors

extension Image {
  /// A PNG file of 8-bit grey, RGB or RGBA; the same pixels always give the same bytes. `progress` is asked
  /// between the rows whether to go on.
  public func encodePNG(_ progress: Progress) throws -> Buffer<UInt8> {
    try encoded(progress) { pixels, watch, encoded, message in
      lp_encode_png(pixels, UInt32(width), UInt32(height), UInt32(channels), watch, &encoded, message)
    }
  }

  /// A PNG file of all that an image has: of 16 bits where it has such.
  public func encodeWhole(_ progress: Progress) throws -> Buffer<UInt8> {
    guard let deep else { return try encodePNG(progress) }
    return try encoded(progress) { _, watch, encoded, message in
      deep.samples.withUnsafeBufferPointer {
        lp_encode_png16(
          $0.baseAddress, UInt32(width), UInt32(height), UInt32(deep.channels), watch, &encoded, message)
      }
    }
  }

  /// A JPEG file, grey or RGB: alpha is dropped. The same pixels always give the same bytes. `quality` is libjpeg's, 1
  /// to 100; photographs take a tenth of their PNG file at 85. Throws `unsupported` for a side above 65,500.
  public func encodeJPEG(quality: Int = 85, _ progress: Progress) throws -> Buffer<UInt8> {
    let opaque = channels == 4 ? try withView { try Image(opaque: $0) } : self
    return try opaque.encoded(progress) { pixels, watch, encoded, message in
      lp_encode_jpeg(
        pixels, UInt32(width), UInt32(height), UInt32(opaque.channels), Int32(quality), watch, &encoded, message)
    }
  }

  private func encoded(
    _ progress: Progress,
    _ encode: (UnsafePointer<UInt8>?, lp_watch, inout lp_bytes, UnsafeMutablePointer<CChar>?) -> lp_status
  ) throws -> Buffer<UInt8> {
    var encoded = lp_bytes()
    try pixels.withUnsafeBufferPointer { buffer in
      try checked("this image cannot be encoded", .internal, progress) { encode(buffer.baseAddress, $0, &encoded, $1) }
    }
    guard let data = encoded.data else { throw Failure(.internal, "an encoder gave no bytes") }
    return Buffer(adopting: data, count: encoded.size)
  }
}
