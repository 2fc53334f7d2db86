// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Copies `image` so that its centre lies at the centre of a `width` by `height` image; what lies outside of
/// it is black.
///
/// An odd margin is split as by torchvision's `CenterCrop`: cutting rounds halves to even, filling puts the
/// smaller part first.
func centerCropped(_ image: Image, width: Int, height: Int) throws -> Image {
  try Image.checkSize(width, height)
  let left = cropOffset(image.width, width)
  let top = cropOffset(image.height, height)
  let first = max(0, -left)
  let count = min(width - first, image.width - max(0, left))
  return Image.make(width, height, image.channels) { target in
    target.update(repeating: 0, count: width * height * image.channels)
    image.pixels.withUnsafeBufferPointer { source in
      for y in 0..<height where (0..<image.height).contains(y + top) {
        let from = ((y + top) * image.width + max(0, left)) * image.channels
        (target + (y * width + first) * image.channels).update(
          from: source.baseAddress! + from, count: count * image.channels)
      }
    }
  }
}

/// Where a window of `size` starts on an axis of `extent`; negative where the window is larger.
func cropOffset(_ extent: Int, _ size: Int) -> Int {
  if extent < size { return -((size - extent) / 2) }
  return Int((Double(extent - size) / 2).rounded(.toNearestOrEven))
}
