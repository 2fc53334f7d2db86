// SPDX-License-Identifier: Apache-2.0
import CLimpid
import Engine
import Images
import Models
import Tensors

extension limpid_image_view {
  /// Pixels for rendering and encoding.
  func pixelView() throws -> PixelView {
    guard format != LIMPID_PIXEL_MODEL_F32 else {
      throw Failure(.unsupported, "LIMPID_PIXEL_MODEL_F32 is for models only; give pixels")
    }
    try check()
    return try PixelView(
      base: pixels, width: Int(width), height: Int(height), rowStride: Int(row_stride), format: pixelFormat())
  }

  private func pixelFormat() throws -> PixelFormat {
    switch format {
    case LIMPID_PIXEL_RGB8: return .rgb8
    case LIMPID_PIXEL_RGBA8: return .rgba8
    case LIMPID_PIXEL_GRAY8: return .gray8
    case LIMPID_PIXEL_GRAY16: return .gray16
    case LIMPID_PIXEL_RGB16: return .rgb16
    default: throw Failure(.invalidArgument, "\(format.rawValue) is no limpid_pixel_format")
    }
  }

  private func check() throws {
    guard reserved == 0 else {
      throw Failure(.unsupported, "limpid_image_view.reserved is \(reserved); set it to 0")
    }
    guard row_stride >= 0 else {
      throw Failure(.invalidArgument, "the row stride is negative: \(row_stride)")
    }
  }

  /// The planes of a LIMPID_PIXEL_MODEL_F32 view; a copy where rows do not touch.
  ///
  /// `copied` are the bytes of the copies that the call made before; they count against `limit` together.
  fileprivate func planes(
    channels: Int?, copied: Int, limit: MemoryLimit
  ) throws -> (image: ImageInput, copy: Buffer<Float>?) {
    try check()
    let base = try required(pixels, "limpid_image_view.pixels")
    let (width, height) = (Int(width), Int(height))
    guard width > 0, height > 0, width <= Image.maximumSide, height <= Image.maximumSide else {
      throw Failure(.invalidArgument, "an image of \(width)×\(height)")
    }
    let row = width * MemoryLayout<Float>.stride
    let stride = row_stride == 0 ? row : Int(row_stride)
    guard stride >= row else {
      throw Failure(
        .invalidArgument, "a row stride of \(stride) bytes for rows of \(row) bytes; give 0 when rows touch")
    }
    if stride == row, Int(bitPattern: base) % MemoryLayout<Float>.alignment == 0 {
      return (.planes(base.assumingMemoryBound(to: Float.self), width: width, height: height), nil)
    }
    guard let channels else {
      throw Failure(
        .unsupported, "the model's input has no fixed number of channels, so planes cannot be fed to it")
    }
    let rows = try product(channels, height, "the image's size")
    _ = try product(rows, stride, "the image's size")
    let size = try product(rows, row, "the image's size")
    let (all, overflow) = size.addingReportingOverflow(copied)
    try limit.check(overflow ? .max : all, for: "a copy of planes whose rows do not touch")
    let copy = try Buffer<Float>(count: rows * width) { target in
      let target = UnsafeMutableRawPointer(target)
      for y in 0..<rows { (target + y * row).copyMemory(from: base + y * stride, byteCount: row) }
    }
    return (.planes(copy.base, width: width, height: height), copy)
  }
}

/// Runs `body` on the caller's images as inputs of `model`.
func withImages<R>(
  _ images: UnsafePointer<limpid_image_view>?, _ count: Int, for model: Model, _ body: ([ImageInput]) throws -> R
) throws -> R {
  let views = try array(images, count, "images")
  guard !views.isEmpty else { throw Failure(.invalidArgument, "image_count is 0") }
  var copies: [Buffer<Float>] = []
  var copied = 0
  let inputs = try views.enumerated().map { i, view in
    try locating("image \(i)") {
      guard view.format == LIMPID_PIXEL_MODEL_F32 else { return ImageInput.pixels(try view.pixelView()) }
      let (input, copy) = try view.planes(
        channels: model.inputSize.channels, copied: copied, limit: model.engine.limit)
      if let copy {
        copies.append(copy)
        copied += copy.count * MemoryLayout<Float>.stride
      }
      return input
    }
  }
  return try withExtendedLifetime(copies) { try body(inputs) }
}
