// SPDX-License-Identifier: Apache-2.0
import Tensors

/// What a pixel is, in memory order; samples of 16 bits in the processor's byte order.
public enum PixelFormat: Sendable, Hashable {
  case gray8, rgb8, rgba8, gray16, rgb16

  public var channels: Int {
    switch self {
    case .gray8, .gray16: 1
    case .rgb8, .rgb16: 3
    case .rgba8: 4
    }
  }

  public var isDeep: Bool { self == .gray16 || self == .rgb16 }
  public var bytesPerPixel: Int { isDeep ? 2 * channels : channels }
}

/// Somebody else's pixels, borrowed for the length of a call.
public struct PixelView {
  public let base: UnsafePointer<UInt8>
  public let width: Int
  public let height: Int
  /// Bytes from the start of a row to the start of the next.
  public let rowStride: Int
  public let format: PixelFormat

  /// `rowStride` 0 means that rows touch. Throws `invalidArgument`, or `unsupported` beyond the size limits
  /// of `Image`.
  public init(
    base: UnsafeRawPointer?, width: Int, height: Int, rowStride: Int = 0, format: PixelFormat
  ) throws {
    guard let base else { throw Failure(.invalidArgument, "an image view without pixels") }
    try Image.checkSize(width, height)
    let row = width * format.bytesPerPixel
    guard rowStride == 0 || rowStride >= row, rowStride <= Int.max / height else {
      throw Failure(
        .invalidArgument,
        "a row stride of \(rowStride) bytes for rows of \(row) bytes; give 0 when rows touch")
    }
    self.init(
      trusted: base.assumingMemoryBound(to: UInt8.self), width, height, rowStride == 0 ? row : rowStride,
      format)
  }

  /// Sample `i` of a row of samples of 16 bits; the caller's need not be aligned.
  func sample(_ i: Int, inRow y: Int) -> UInt16 {
    UnsafeRawPointer(base).loadUnaligned(fromByteOffset: y * rowStride + 2 * i, as: UInt16.self)
  }

  init(
    trusted base: UnsafePointer<UInt8>, _ width: Int, _ height: Int, _ rowStride: Int, _ format: PixelFormat
  ) {
    self.base = base
    self.width = width
    self.height = height
    self.rowStride = rowStride
    self.format = format
  }
}

extension Image {
  /// Runs `body` on a view of these pixels, which is valid until `body` returns.
  public func withView<R>(_ body: (PixelView) throws -> R) rethrows -> R {
    let format: PixelFormat = channels == 1 ? .gray8 : channels == 3 ? .rgb8 : .rgba8
    guard let deep else {
      return try withExtendedLifetime(pixels) {
        try body(PixelView(trusted: pixels.base, width, height, width * channels, format))
      }
    }
    let deepFormat: PixelFormat = deep.channels == 1 ? .gray16 : .rgb16
    let base = UnsafeRawPointer(deep.samples.base).assumingMemoryBound(to: UInt8.self)
    return try withExtendedLifetime(deep) {
      try body(PixelView(trusted: base, width, height, width * deepFormat.bytesPerPixel, deepFormat))
    }
  }

  /// The same pixels, rows touching.
  public init(copying view: PixelView) throws {
    guard !view.format.isDeep else {
      let row = view.width * view.format.channels
      let samples = try Buffer<UInt16>(count: row * view.height) { target in
        for y in 0..<view.height {
          for i in 0..<row { target[y * row + i] = view.sample(i, inRow: y) }
        }
      }
      self.init(
        trusted: view.width, view.height, view.format.channels,
        try Buffer(samples.lazy.map(DeepPixels.byte)),
        deep: DeepPixels(channels: view.format.channels, samples: samples))
      return
    }
    self = try Image.make(view.width, view.height, view.format.channels) { target in
      let row = view.width * view.format.channels
      for y in 0..<view.height {
        (target + y * row).update(from: view.base + y * view.rowStride, count: row)
      }
    }
  }

  /// RGBA, opaque where there is no alpha.
  init(withAlpha view: PixelView) throws {
    let image = try Image(copying: view)
    if image.channels == 4 {
      self = image
      return
    }
    self = try Image.make(view.width, view.height, 4) { target in
      image.pixels.withUnsafeBufferPointer { source in
        for i in 0..<view.width * view.height {
          for c in 0..<3 { target[4 * i + c] = source[image.channels == 1 ? i : 3 * i + c] }
          target[4 * i + 3] = 255
        }
      }
    }
  }

  /// RGBA whose colours are their luma, as of Pillow's `convert("LA")`.
  var grayWithAlpha: Image {
    get throws {
      let luma = try gray
      return try Image.make(width, height, 4) { target in
        for i in 0..<width * height {
          for c in 0..<3 { target[4 * i + c] = luma.pixels[i] }
          target[4 * i + 3] = pixels[4 * i + 3]
        }
      }
    }
  }

  /// Grey stays grey; everything else becomes RGB, its alpha dropped as by Pillow's `convert("RGB")`.
  init(opaque view: PixelView) throws {
    guard view.format == .rgba8 else {
      try self.init(copying: view)
      return
    }
    self = try Image.make(view.width, view.height, 3) { target in
      var target = target
      for y in 0..<view.height {
        var source = view.base + y * view.rowStride
        for _ in 0..<view.width {
          target[0] = source[0]
          target[1] = source[1]
          target[2] = source[2]
          target += 3
          source += 4
        }
      }
    }
  }

  /// Grey repeated in three channels; RGB as it is.
  var rgb: Image {
    get throws {
      guard channels == 1 else { return self }
      return try Image.make(width, height, 3) { target in
        pixels.withUnsafeBufferPointer { source in
          for (i, value) in source.enumerated() {
            target[3 * i] = value
            target[3 * i + 1] = value
            target[3 * i + 2] = value
          }
        }
      }
    }
  }

  /// ITU-R 601 luma in 16-bit fixed point, as Pillow's `convert("L")`; grey as it is.
  var gray: Image {
    get throws {
      guard channels >= 3 else { return self }
      return try Image.make(width, height, 1) { target in
        pixels.withUnsafeBufferPointer { source in
          for i in 0..<width * height {
            let p = channels * i
            let sum = 19595 * UInt32(source[p]) + 38470 * UInt32(source[p + 1]) + 7471 * UInt32(source[p + 2])
            target[i] = UInt8(truncatingIfNeeded: (sum + 0x8000) >> 16)
          }
        }
      }
    }
  }
}
