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
  func levels(of map: MapView, _ width: Int, _ height: Int) throws -> Buffer<UInt8> {
    let values = try map.normalized
    switch self {
    case .standard:
      return try Buffer(
        values.withUnsafeBufferPointer {
          try resize($0, width: map.width, height: map.height, to: (width, height), filter: .bilinear)
        }.lazy.map { UInt8((255 * $0).rounded()) })
    case .scouter:
      let bytes = Image(trusted: map.width, map.height, 1, try Buffer(values.lazy.map { UInt8(255 * $0) }))
      return try bytes.resized(width: width, height: height, filter: .bilinear, .unwatched).pixels
    case .tame:
      return try Buffer(
        values.withUnsafeBufferPointer {
          try upsample($0, width: map.width, height: map.height, to: (width, height))
        }.lazy.map { UInt8(255 * $0) })
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
