// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Images
import Parallel
import Tensors

/// limpid_bytes
final class BytesHandle: Handled {
  let bytes: Buffer<UInt8>
  init(_ bytes: Buffer<UInt8>) { self.bytes = bytes }
}

/// limpid_image
final class ImageHandle: Handled {
  private let image: Image
  let view: limpid_image_view

  init(_ image: Image) {
    self.image = image
    let (width, height) = (Int32(image.width), Int32(image.height))
    if let deep = image.deep {
      view = limpid_image_view(
        pixels: deep.samples.base, row_stride: Int64(2 * image.width * deep.channels), width: width, height: height,
        format: deep.channels == 1 ? LIMPID_PIXEL_GRAY16 : LIMPID_PIXEL_RGB16, reserved: 0)
    } else {
      view = limpid_image_view(
        pixels: image.pixels.base, row_stride: Int64(image.width * image.channels), width: width, height: height,
        format: image.channels == 4 ? LIMPID_PIXEL_RGBA8 : LIMPID_PIXEL_RGB8, reserved: 0)
    }
  }
}

@c @implementation
public func limpid_bytes_data(_ bytes: OpaquePointer?) -> UnsafeRawPointer? {
  BytesHandle.object(bytes).map { UnsafeRawPointer($0.bytes.base) }
}

@c @implementation
public func limpid_bytes_size(_ bytes: OpaquePointer?) -> Int { BytesHandle.object(bytes)?.bytes.count ?? 0 }

@c @implementation
public func limpid_bytes_free(_ bytes: OpaquePointer?) { BytesHandle.free(bytes) }

@c @implementation
public func limpid_image_load_file(
  _ path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  limpid_image_load_file_with(path, nil, out)
}

@c @implementation
public func limpid_image_load_file_with(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<limpid_image_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let path = try required(path, "path")
    let options = try limpid_image_options.read(options)
    let out = try required(out, "out")
    let file = try Storage(path: path)
    let image = try reading(path) {
      try file.withBytes { try decode($0, options, quoted(String(cString: path)) + ": ") }
    }
    out.pointee = ImageHandle(image).handle()
  }
}

@c @implementation
public func limpid_image_load_memory(
  _ data: UnsafeRawPointer?, _ size: Int, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  limpid_image_load_memory_with(data, size, nil, out)
}

@c @implementation
public func limpid_image_load_memory_with(
  _ data: UnsafeRawPointer?, _ size: Int, _ options: UnsafePointer<limpid_image_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let data = try array(data?.assumingMemoryBound(to: UInt8.self), size, "data")
    let options = try limpid_image_options.read(options)
    let out = try required(out, "out")
    out.pointee = ImageHandle(try decode(UnsafeRawBufferPointer(data), options, "")).handle()
  }
}

/// What is lost by it is logged, behind `place`.
private func decode(
  _ bytes: UnsafeRawBufferPointer, _ options: limpid_image_options, _ place: @autoclosure () -> String
) throws -> Image {
  let reading = try Reading(keepsAlpha: options.alpha != 0).choosing(
    bits: Int(options.bits), highByte: options.high_byte != 0)
  return try Image.decode(bytes, as: reading, Progress(asking: options)) { text in
    log(LIMPID_LOG_WARNING, place() + text)
  }
}

@c @implementation
public func limpid_image_get_view(_ image: OpaquePointer?) -> limpid_image_view {
  ImageHandle.object(image)?.view ?? limpid_image_view()
}

@c @implementation
public func limpid_image_free(_ image: OpaquePointer?) { ImageHandle.free(image) }
