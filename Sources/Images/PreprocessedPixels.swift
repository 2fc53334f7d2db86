// SPDX-License-Identifier: Apache-2.0
public import Parallel
import Tensors

extension Preprocessing {
  /// Writes float32 values, [channels, height, width] of `outputSize`, rows touching.
  ///
  /// Alpha is dropped but for a network that reads it; grey pixels are repeated for one that reads RGB. Throws as
  /// `outputSize`, and `cancelled` where `progress`, which is asked between the rows, says so.
  public func tensor(
    from view: PixelView, into target: UnsafeMutablePointer<Float>, _ progress: Progress
  ) throws {
    if view.format.isDeep, !keepsAlpha { return try deepTensor(from: view, into: target, progress) }
    let image = try pixels(of: view, progress)
    let plane = image.width * image.height
    for channel in 0..<channels {
      let values = levels(of: channel)
      // A grey image has the same pixels in every channel.
      let offset = image.channels == 1 ? 0 : source(of: channel)
      image.pixels.withUnsafeBufferPointer { source in
        values.withUnsafeBufferPointer { values in
          let target = target + channel * plane
          for i in 0..<plane { target[i] = values[Int(source[i * image.channels + offset])] }
        }
      }
    }
  }

  /// Which channel of RGBA one of the tensor is.
  func source(of channel: Int) -> Int {
    if keepsAlpha, channel == channels - 1 { return 3 }
    return steps.contains(.bgr) ? 2 - channel : channel
  }

  /// The image as the network sees it, RGB, before `scale` and `normalize`: resized and cropped.
  public func shown(_ view: PixelView, _ progress: Progress) throws -> Image {
    let image = try pixels(of: view, progress)
    return try image.channels == 4 ? image.withView { try Image(opaque: $0) } : image.rgb
  }

  /// RGB or grey, after the steps on pixels.
  private func pixels(of view: PixelView, _ progress: Progress) throws -> Image {
    var image = try keepsAlpha ? Image(withAlpha: view) : Image(opaque: view)
    let sizes = try sizes(from: (view.width, view.height))
    for (i, step) in steps.enumerated() where i == 0 || !isCut(i - 1) {
      switch step {
      case .resizeShorter(_, let filter), .resizeLonger(_, let filter), .resizeExact(_, _, let filter):
        if isCut(i) {
          image = try Self.window(of: image, resizedTo: sizes[i], filter, cutTo: sizes[i + 1], progress)
        } else {
          image = try image.resized(width: sizes[i].width, height: sizes[i].height, filter: filter, progress)
        }
      case .centerCrop(let width, let height): image = try centered(image, width: width, height: height)
      case .pad(let width, let height, let fill):
        image = try centered(image, width: width, height: height, fill: fill)
      case .gray: image = try keepsAlpha ? image.grayWithAlpha : image.gray
      case .bgr, .alpha, .depth16, .scale, .normalize: break
      }
    }
    return image
  }

  /// The window of size `window` at the centre of `image` at the size `size`.
  private static func window(
    of image: Image, resizedTo size: (width: Int, height: Int), _ filter: Filter,
    cutTo window: (width: Int, height: Int), _ progress: Progress
  ) throws -> Image {
    let left = cropOffset(size.width, window.width), top = cropOffset(size.height, window.height)
    let part = try image.resized(
      width: size.width, height: size.height, filter: filter,
      columns: max(0, left)..<min(size.width, left + window.width),
      rows: max(0, top)..<min(size.height, top + window.height), progress)
    return try part.placed(
      left: max(0, -left), top: max(0, -top), width: window.width, height: window.height, fill: 0)
  }

  /// What each of the 256 bytes becomes in `channel`.
  public func levels(of channel: Int) -> [Float] {
    let level = level(in: channel)
    return (0..<256).map { level(steps.contains(.depth16) ? Float(257 * $0) : Float($0)) }
  }

  /// What numbers of the unit that `scale` and `normalize` are of become in `channel`.
  func level(in channel: Int) -> (Float) -> Float {
    var divisor = 1.0
    var mean = 0.0
    var std = 1.0
    var arithmetic = Arithmetic.float32
    for step in steps {
      if case .scale(let value) = step { divisor = value }
      if case .normalize(let means, let deviations, let rounding) = step {
        mean = means[means.count == 1 ? 0 : channel]
        std = deviations[deviations.count == 1 ? 0 : channel]
        arithmetic = rounding
      }
    }
    return { [divisor, mean, std, arithmetic] number in
      switch arithmetic {
      case .float32: (number / Float(divisor) - Float(mean)) / Float(std)
      case .float64: Float((Double(number) / divisor - mean) / std)
      }
    }
  }
}
