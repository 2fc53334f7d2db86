// SPDX-License-Identifier: Apache-2.0
import Parallel
import Tensors

extension Rendering.Style {
  /// Throws `notFound`, with all names, for an unknown name.
  public static func named(_ name: String) throws -> Rendering.Style {
    if let style = Rendering.Style(rawValue: name) { return style }
    let names = allCases.map(\.rawValue).joined(separator: ", ")
    throw Failure(.notFound, "there is no render style \(quoted(name)); there are \(names)")
  }

  /// The one that is used where none is named.
  public var colormap: Colormap {
    switch self {
    case .standard: .viridis
    case .scouter: .matplotlibJet
    case .tame: .jet
    }
  }

  var opacity: Float {
    switch self {
    case .standard, .tame: 0.5
    case .scouter: 0.4
    }
  }

  /// The map as indices of colours at another size: [height, width].
  func levels(of map: MapView, _ width: Int, _ height: Int, _ progress: Progress) throws -> Buffer<UInt8> {
    let values = try map.normalized
    switch self {
    case .standard:
      return try bytes(
        values.withUnsafeBufferPointer {
          try resize($0, width: map.width, height: map.height, to: (width, height), filter: .bilinear, progress)
        }, progress
      ) { UInt8((255 * $0).rounded()) }
    case .scouter:
      let small = Image(trusted: map.width, map.height, 1, try bytes(values, progress) { UInt8(255 * $0) })
      return try small.resized(width: width, height: height, filter: .bilinear, progress).pixels
    case .tame:
      return try bytes(
        values.withUnsafeBufferPointer {
          try upsample($0, width: map.width, height: map.height, to: (width, height), progress)
        }, progress
      ) { UInt8(255 * $0) }
    }
  }

  /// The mixture of each byte of a colour with each byte of a pixel: [colour, pixel], 256 × 256.
  func mixtures(_ opacity: Float) -> [UInt8] {
    // Pillow's `alpha_composite` knows the opacity as a byte, cut off.
    let alpha = UInt32(255 * opacity)
    return (0..<256 as Range<UInt32>).flatMap { color in
      (0..<256 as Range<UInt32>).map { pixel in
        switch self {
        case .scouter:
          return UInt8(truncatingIfNeeded: dividedBy255(color * alpha + pixel * (255 - alpha)))
        case .standard, .tame:
          // OpenCV's `addWeighted` rounds halves to even.
          return UInt8((Float(color) * opacity + Float(pixel) * (1 - opacity)).rounded(.toNearestOrEven))
        }
      }
    }
  }
}

/// Each value as a byte.
@inline(__always)
private func bytes(
  _ values: Buffer<Float>, _ progress: Progress, _ byte: (Float) -> UInt8
) throws -> Buffer<UInt8> {
  var polling = Polling(progress)
  return try Buffer(count: values.count) { target in
    try values.withUnsafeBufferPointer { values in
      for start in stride(from: 0, to: values.count, by: 1 << 16) {
        for i in start..<min(start + (1 << 16), values.count) { target[i] = byte(values[i]) }
        try polling.count(1 << 18)
      }
    }
  }
}
