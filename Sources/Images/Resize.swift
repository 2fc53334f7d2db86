// SPDX-License-Identifier: Apache-2.0
public import Parallel
import Tensors

extension Image {
  /// This image at another size, bit for bit as `resize` of Pillow.
  ///
  /// Two passes in fixed point, each rounded to bytes, in the order of `Taps.startWithColumns`; an axis that
  /// keeps its size is not touched. The colours of RGBA are weighted by their alpha. Throws `invalidArgument`
  /// or `unsupported` for sizes out of range.
  /// `progress` is asked between the rows whether to go on.
  public func resized(
    width newWidth: Int, height newHeight: Int, filter: Filter, _ progress: Progress
  ) throws -> Image {
    try Image.checkSize(newWidth, newHeight)
    if newWidth == width, newHeight == height { return self }
    if filter == .nearest { return try resizedToNearest(newWidth, newHeight, progress) }
    if !Taps.startWithColumns(from: (width, height), to: (newWidth, newHeight)) {
      // The image between the two passes may be larger than both.
      try Image.checkSize(newWidth, height)
    }
    guard channels == 4 else { return try filtered(newWidth, newHeight, filter, progress) }
    return try withPremultipliedAlpha().filtered(newWidth, newHeight, filter, progress).withStraightAlpha()
  }

  private func filtered(
    _ newWidth: Int, _ newHeight: Int, _ filter: Filter, _ progress: Progress
  ) throws -> Image {
    let startWithColumns = Taps.startWithColumns(from: (width, height), to: (newWidth, newHeight))
    return try [startWithColumns, !startWithColumns].reduce(self) { image, isColumns in
      if isColumns {
        return newHeight == height
          ? image : try image.filteredAlongColumns(Taps(from: height, to: newHeight, filter), progress)
      }
      return newWidth == width
        ? image : try image.filteredAlongRows(Taps(from: width, to: newWidth, filter), progress)
    }
  }

  func filteredAlongRows(_ taps: Taps, _ progress: Progress) throws -> Image {
    let newWidth = taps.runs.count
    let weights = try taps.fixedPoint
    var polling = Polling(progress)
    return try Image.make(newWidth, height, channels) { target in
      try pixels.withUnsafeBufferPointer { source in
        try weights.withUnsafeBufferPointer { weights in
          try taps.runs.withUnsafeBufferPointer { runs in
            // An image is never empty, and neither are its taps.
            let source = source.baseAddress!
            for y in 0..<height {
              let row = source + y * width * channels
              let newRow = target + y * newWidth * channels
              if channels == 3 {
                filterRGB(row, runs, weights.baseAddress!, newRow)
              } else {
                filterRow(row, channels, runs, weights.baseAddress!, newRow)
              }
              try polling.count((weights.count + newWidth) * channels)
            }
          }
        }
      }
    }
  }

  func filteredAlongColumns(_ taps: Taps, _ progress: Progress) throws -> Image {
    let row = width * channels
    let weights = try taps.fixedPoint
    let sums = try Storage(byteCount: row * MemoryLayout<Int32>.stride)
    var polling = Polling(progress)
    return try Image.make(width, taps.runs.count, channels) { target in
      let sums = sums.base.assumingMemoryBound(to: Int32.self)
      for (y, run) in taps.runs.enumerated() {
        for x in 0..<row { sums[x] = half }
        for tap in 0..<run.count {
          let weight = weights[run.offset + tap]
          let line = pixels.base + (run.first + tap) * row
          for x in 0..<row { sums[x] &+= weight &* Int32(line[x]) }
        }
        for x in 0..<row { target[y * row + x] = rounded(sums[x]) }
        try polling.count((run.count + 1) * row)
      }
    }
  }

  private func resizedToNearest(_ newWidth: Int, _ newHeight: Int, _ progress: Progress) throws -> Image {
    try picked(
      columns: nearestPositions(from: width, to: newWidth), rows: nearestPositions(from: height, to: newHeight),
      progress)
  }

  /// The pixels where these columns and rows meet.
  func picked(
    columns: some Collection<Int>, rows: some Collection<Int>, _ progress: Progress
  ) throws -> Image {
    var polling = Polling(progress)
    return try Image.make(columns.count, rows.count, channels) { target in
      var target = target
      for y in rows {
        for x in columns {
          let pixel = pixels.base + (y * width + x) * channels
          for c in 0..<channels { target[c] = pixel[c] }
          target += channels
        }
        try polling.count(columns.count * channels)
      }
    }
  }

  private func withPremultipliedAlpha() throws -> Image {
    try mappingPixels { color, alpha in UInt8(truncatingIfNeeded: dividedBy255(color * alpha)) }
  }

  private func withStraightAlpha() throws -> Image {
    try mappingPixels { color, alpha in alpha == 0 ? UInt8(color) : UInt8(min(255, 255 * color / alpha)) }
  }

  /// RGBA with each colour replaced by a function of it and the alpha.
  private func mappingPixels(_ transform: (UInt32, UInt32) -> UInt8) throws -> Image {
    try Image.make(width, height, 4) { target in
      pixels.withUnsafeBufferPointer { source in
        for p in stride(from: 0, to: source.count, by: 4) {
          let alpha = UInt32(source[p + 3])
          for c in 0..<3 { target[p + c] = transform(UInt32(source[p + c]), alpha) }
          target[p + 3] = source[p + 3]
        }
      }
    }
  }
}

/// One half in the fixed point of `Taps`.
private let half: Int32 = 1 << (Taps.fractionBits - 1)

@inline(__always)
private func rounded(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> Taps.fractionBits) }

/// One row of any number of channels.
private func filterRow(
  _ row: UnsafePointer<UInt8>, _ channels: Int, _ runs: UnsafeBufferPointer<Taps.Run>,
  _ weights: UnsafePointer<Int32>, _ newRow: UnsafeMutablePointer<UInt8>
) {
  for (x, run) in runs.enumerated() {
    for c in 0..<channels {
      var sum = half
      for tap in 0..<run.count {
        sum &+= weights[run.offset + tap] &* Int32(row[(run.first + tap) * channels + c])
      }
      newRow[x * channels + c] = rounded(sum)
    }
  }
}

/// `filterRow` for three channels, which share the loads of the weights.
private func filterRGB(
  _ row: UnsafePointer<UInt8>, _ runs: UnsafeBufferPointer<Taps.Run>, _ weights: UnsafePointer<Int32>,
  _ newRow: UnsafeMutablePointer<UInt8>
) {
  for (x, run) in runs.enumerated() {
    var (red, green, blue) = (half, half, half)
    var pixel = row + run.first * 3
    for tap in run.offset..<run.offset + run.count {
      let weight = weights[tap]
      red &+= weight &* Int32(pixel[0])
      green &+= weight &* Int32(pixel[1])
      blue &+= weight &* Int32(pixel[2])
      pixel += 3
    }
    newRow[3 * x] = rounded(red)
    newRow[3 * x + 1] = rounded(green)
    newRow[3 * x + 2] = rounded(blue)
  }
}
