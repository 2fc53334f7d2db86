// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Copies `image` so that its centre lies at the centre of a `width` by `height` image; what lies outside of
/// it has the byte `fill` in every channel.
///
/// An odd margin is split as by torchvision's `CenterCrop`: cutting rounds halves to even, filling puts the
/// smaller part first.
func centered(_ image: Image, width: Int, height: Int, fill: UInt8 = 0) throws -> Image {
  try image.placed(
    left: -cropOffset(image.width, width), top: -cropOffset(image.height, height), width: width, height: height,
    fill: fill)
}

/// Where a window of `size` starts on an axis of `extent`; negative where the window is larger.
func cropOffset(_ extent: Int, _ size: Int) -> Int {
  if extent < size { return -((size - extent) / 2) }
  return Int((Double(extent - size) / 2).rounded(.toNearestOrEven))
}

extension Image {
  /// A `width` by `height` image with this one at `left` and `top`, which are negative where it is cut there.
  func placed(left: Int, top: Int, width newWidth: Int, height newHeight: Int, fill: UInt8) throws -> Image {
    try Image.checkSize(newWidth, newHeight)
    let columns = max(0, left)..<max(0, left, min(newWidth, left + width))
    let rows = max(0, top)..<max(0, top, min(newHeight, top + height))
    if (left, top, newWidth, newHeight) == (0, 0, width, height) { return self }
    return try Image.make(newWidth, newHeight, channels) { target in
      target.update(repeating: fill, count: newWidth * newHeight * channels)
      pixels.withUnsafeBufferPointer { source in
        guard let source = source.baseAddress else { return }
        for y in rows {
          let from = ((y - top) * width + columns.lowerBound - left) * channels
          (target + (y * newWidth + columns.lowerBound) * channels).update(
            from: source + from, count: columns.count * channels)
        }
      }
    }
  }
}
