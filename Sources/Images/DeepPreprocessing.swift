// SPDX-License-Identifier: Apache-2.0
import Parallel
import Tensors

/// Images of 16 bits on their way to a network: planes of floats, resized as Pillow resizes images of mode `F`, so that
/// nothing is rounded to bytes between.
extension Preprocessing {
  /// As `tensor`, of a view of samples of 16 bits, for networks that read no alpha. Numbers are those of 8 bits in
  /// steps of 1/257, or with `depth 16` the samples; what a filter makes beyond their range is cut off, as of bytes.
  func deepTensor(from view: PixelView, into target: UnsafeMutablePointer<Float>, _ progress: Progress) throws {
    var planes = try (0..<view.format.channels).map { try Plane(view, channel: $0) }
    for (step, size) in zip(steps, try sizes(from: (view.width, view.height))) {
      switch step {
      case .resizeShorter(_, let filter), .resizeLonger(_, let filter), .resizeExact(_, _, let filter):
        planes = try planes.map { try $0.resized(to: size, filter, progress) }
      case .centerCrop: planes = try planes.map { try $0.centered(in: size, fill: 0) }
      case .pad(_, _, let fill): planes = try planes.map { try $0.centered(in: size, fill: 257 * Float(fill)) }
      case .gray: planes = [try Plane(lumaOf: planes)]
      case .alpha, .bgr, .depth16, .scale, .normalize: break
      }
    }
    let unit: Float = steps.contains(.depth16) ? 1 : 257
    for channel in 0..<channels {
      let level = level(in: channel)
      let values = planes[planes.count == 1 ? 0 : source(of: channel)].values
      let target = target + channel * values.count
      values.withUnsafeBufferPointer { values in
        for i in values.indices { target[i] = level(values[i] / unit) }
      }
    }
  }
}

/// One channel of an image of 16 bits.
private struct Plane {
  let width, height: Int
  /// [height, width], 0...65535
  let values: Buffer<Float>

  init(_ view: PixelView, channel: Int) throws {
    (width, height) = (view.width, view.height)
    let step = view.format.channels
    values = try Buffer(count: width * height) { [width, height] target in
      for y in 0..<height {
        for x in 0..<width { target[y * width + x] = Float(view.sample(x * step + channel, inRow: y)) }
      }
    }
  }

  private init(_ width: Int, _ height: Int, _ values: Buffer<Float>) {
    (self.width, self.height, self.values) = (width, height, values)
  }

  /// ITU-R 601 luma of three planes by the weights of Pillow's `convert("L")`; one plane as it is.
  init(lumaOf planes: [Plane]) throws {
    guard planes.count == 3 else {
      self = planes[0]
      return
    }
    let (red, green, blue) = (planes[0].values, planes[1].values, planes[2].values)
    self.init(
      planes[0].width, planes[0].height,
      try Buffer(count: red.count) { target in
        for i in 0..<red.count {
          let sum = 19595 * Double(red[i]) + 38470 * Double(green[i]) + 7471 * Double(blue[i])
          target[i] = Float(sum / 65536)
        }
      })
  }

  func resized(to size: (width: Int, height: Int), _ filter: Filter, _ progress: Progress) throws -> Plane {
    if size == (width, height) { return self }
    let made = try values.withUnsafeBufferPointer {
      try resize($0, width: width, height: height, to: size, filter: filter, progress)
    }
    return Plane(size.width, size.height, try Buffer(made.lazy.map { min(max($0, 0), 65535) }))
  }

  /// As `centered` of images of 8 bits.
  func centered(in size: (width: Int, height: Int), fill: Float) throws -> Plane {
    let (left, top) = (-cropOffset(width, size.width), -cropOffset(height, size.height))
    let columns = max(0, left)..<max(0, left, min(size.width, left + width))
    let made = try Buffer<Float>(count: size.width * size.height) { target in
      target.update(repeating: fill, count: size.width * size.height)
      for y in max(0, top)..<max(0, top, min(size.height, top + height)) {
        let from = (y - top) * width + columns.lowerBound - left
        (target + y * size.width + columns.lowerBound).update(from: values.base + from, count: columns.count)
      }
    }
    return Plane(size.width, size.height, made)
  }
}
