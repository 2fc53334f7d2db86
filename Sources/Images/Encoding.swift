// SPDX-License-Identifier: Apache-2.0
import CCodecs
import Tensors

extension Image {
  /// A PNG file of 8-bit grey, RGB or RGBA; the same pixels always give the same bytes.
  public func encodePNG() throws -> [UInt8] {
    var encoded = lp_bytes()
    try pixels.withUnsafeBufferPointer { buffer in
      try checked("this image cannot be encoded", .internal) { message in
        lp_encode_png(buffer.baseAddress, UInt32(width), UInt32(height), UInt32(channels), &encoded, message)
      }
    }
    defer { lp_free(encoded.data) }
    return Array(UnsafeBufferPointer(start: encoded.data, count: encoded.size))
  }
}
