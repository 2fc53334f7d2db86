// SPDX-License-Identifier: Apache-2.0

/// What a file that is no image we read is by its first bytes, with an article: for messages.
func fileKind(_ bytes: UnsafeRawBufferPointer) -> String? {
  func has(_ text: String, at offset: Int = 0) -> Bool {
    bytes.count >= offset + text.utf8.count && bytes[offset...].starts(with: text.utf8)
  }
  if has("ftyp", at: 4) {
    if has("avif", at: 8) || has("avis", at: 8) { return "an AVIF image" }
    if ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"].contains(where: { has($0, at: 8) }) {
      return "an HEIC image"
    }
    return "a video, or another file of that family (ftyp)"
  }
  if has("GIF87a") || has("GIF89a") { return "a GIF image" }
  if has("BM") { return "a BMP image" }
  if has("II*\0") || has("MM\0*") || has("II+\0") { return "a TIFF image" }
  if bytes.starts(with: [0xFF, 0x0A]) || bytes.starts(with: [0, 0, 0, 0x0C, 0x4A, 0x58, 0x4C, 0x20]) {
    return "a JPEG XL image"
  }
  if bytes.starts(with: [0, 0, 0, 0x0C, 0x6A, 0x50]) || bytes.starts(with: [0xFF, 0x4F, 0xFF, 0x51]) {
    return "a JPEG 2000 image"
  }
  if has("8BPS") { return "a Photoshop document" }
  if has("%PDF") { return "a PDF document" }
  if has("version https://git-lfs") { return "a pointer of Git LFS (run git lfs pull)" }
  let start = String(decoding: bytes.prefix(256), as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
  let text = start.lowercased()
  if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") { return "an HTML page" }
  if text.hasPrefix("<svg") || text.hasPrefix("<?xml") && text.contains("<svg") { return "an SVG drawing" }
  return nil
}
