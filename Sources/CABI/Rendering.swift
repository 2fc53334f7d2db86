// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explanations
import Images
import Models
import Parallel
import Tensors

private let colormapNames = Colormap.names.map { CText($0) }

extension Rendering {
  init(_ pointer: UnsafePointer<limpid_render_options>?) throws {
    let options = try limpid_render_options.read(pointer)
    self.init(try optionalString(options.style, "style").map(Style.named) ?? .standard)
    colormap = try optionalString(options.colormap, "colormap").map(Colormap.named)
    opacity = options.opacity == 0 ? nil : options.opacity
    width = Int(options.width)
    height = Int(options.height)
    scale = Int(options.scale)
    region = options.field.map { $0.pointee }.map {
      Region(x: $0.x, y: $0.y, width: $0.seen_width, height: $0.seen_height)
    }
  }
}

extension limpid_map_view {
  fileprivate func mapView() throws -> MapView {
    let count = try product(max(0, Int(width)), max(0, Int(height)), "the size of the map")
    let buffer = UnsafeBufferPointer(start: try required(values, "map->values"), count: count)
    return try MapView(
      values: buffer, width: Int(width), height: Int(height), minimum: minimum, maximum: maximum)
  }
}

@c @implementation
public func limpid_colormap_name(_ index: Int) -> UnsafePointer<CChar>? {
  colormapNames[checked: index]?.base
}

@c @implementation
public func limpid_model_preprocess(
  _ model: OpaquePointer?, _ image: UnsafePointer<limpid_image_view>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status { limpid_model_preprocess_with(model, image, nil, out) }

@c @implementation
public func limpid_model_preprocess_with(
  _ model: OpaquePointer?, _ image: UnsafePointer<limpid_image_view>?, _ options: UnsafePointer<limpid_run_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let view = try required(image, "image").pointee.pixelView()
    let out = try required(out, "out")
    out.pointee = ImageHandle(try model.shown(view, Progress(options, only: "preparing an image"))).handle()
  }
}

@c @implementation
public func limpid_explanation_render(
  _ explanation: OpaquePointer?, _ index: Int, _ image: UnsafePointer<limpid_image_view>?,
  _ options: UnsafePointer<limpid_render_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let handle = try ExplanationHandle.required(explanation, "explanation")
    let explanation = try handle.required(index)
    let image = try image.map { try $0.pointee.pixelView() }
    let out = try required(out, "out")
    out.pointee = ImageHandle(try handle.draw(explanation, over: image, Rendering(options), Progress(options))).handle()
  }
}

@c @implementation
public func limpid_render(
  _ map: UnsafePointer<limpid_map_view>?, _ image: UnsafePointer<limpid_image_view>?,
  _ options: UnsafePointer<limpid_render_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let map = try required(map, "map").pointee.mapView()
    let image = try image.map { try $0.pointee.pixelView() }
    let out = try required(out, "out")
    out.pointee = ImageHandle(try render(map, over: image, Rendering(options), Progress(options))).handle()
  }
}

private func encode(
  _ image: UnsafePointer<limpid_image_view>?, _ options: UnsafePointer<limpid_image_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?, _ encoded: (Image, Progress) throws -> Buffer<UInt8>
) -> limpid_status {
  boundary {
    let view = try required(image, "image").pointee.pixelView()
    let out = try required(out, "out")
    out.pointee = BytesHandle(try encoded(Image(copying: view), Progress(options))).handle()
  }
}

private func save(
  _ image: UnsafePointer<limpid_image_view>?, _ path: UnsafePointer<CChar>?,
  _ encoded: (Image) throws -> Buffer<UInt8>
) -> limpid_status {
  boundary {
    let view = try required(image, "image").pointee.pixelView()
    let path = try required(path, "path")
    try encoded(Image(copying: view)).withUnsafeBufferPointer { try writeFile(UnsafeRawBufferPointer($0), to: path) }
  }
}

extension Image {
  fileprivate func jpeg(_ quality: Int32, _ progress: Progress) throws -> Buffer<UInt8> {
    if quality == 0 { return try encodeJPEG(progress) }
    guard (1...100).contains(quality) else {
      throw Failure(.invalidArgument, "a quality of \(quality); it must be between 1 and 100")
    }
    return try encodeJPEG(quality: Int(quality), progress)
  }
}

@c @implementation
public func limpid_encode_png(
  _ image: UnsafePointer<limpid_image_view>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status { limpid_encode_png_with(image, nil, out) }

@c @implementation
public func limpid_encode_png_with(
  _ image: UnsafePointer<limpid_image_view>?, _ options: UnsafePointer<limpid_image_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status { encode(image, options, out) { try $0.encodeWhole($1) } }

@c @implementation
public func limpid_save_png(
  _ image: UnsafePointer<limpid_image_view>?, _ path: UnsafePointer<CChar>?
) -> limpid_status { save(image, path) { try $0.encodeWhole(.unwatched) } }

@c @implementation
public func limpid_encode_jpeg(
  _ image: UnsafePointer<limpid_image_view>?, _ quality: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status { limpid_encode_jpeg_with(image, quality, nil, out) }

@c @implementation
public func limpid_encode_jpeg_with(
  _ image: UnsafePointer<limpid_image_view>?, _ quality: Int32, _ options: UnsafePointer<limpid_image_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status { encode(image, options, out) { try $0.jpeg(quality, $1) } }

@c @implementation
public func limpid_save_jpeg(
  _ image: UnsafePointer<limpid_image_view>?, _ quality: Int32, _ path: UnsafePointer<CChar>?
) -> limpid_status { save(image, path) { try $0.jpeg(quality, .unwatched) } }
