// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Image {
  /// This image at another size, bit for bit as `resize` of Pillow.
  ///
  /// Two passes in fixed point, each rounded to bytes, in the order of `Taps.startWithColumns`; an axis that
  /// keeps its size is not touched. The colours of RGBA are weighted by their alpha. Throws `invalidArgument`
  /// or `unsupported` for sizes out of range.
  public func resized(width newWidth: Int, height newHeight: Int, filter: Filter) throws -> Image {
    try Image.checkSize(newWidth, newHeight)
    if newWidth == width, newHeight == height { return self }
    if filter == .nearest { return resizedToNearest(newWidth, newHeight) }
    if !Taps.startWithColumns(from: (width, height), to: (newWidth, newHeight)) {
      // The image between the two passes may be larger than both.
      try Image.checkSize(newWidth, height)
    }
    guard channels == 4 else { return filtered(newWidth, newHeight, filter) }
    return withPremultipliedAlpha.filtered(newWidth, newHeight, filter).withStraightAlpha
  }

  private func filtered(_ newWidth: Int, _ newHeight: Int, _ filter: Filter) -> Image {
    let startWithColumns = Taps.startWithColumns(from: (width, height), to: (newWidth, newHeight))
    return [startWithColumns, !startWithColumns].reduce(self) { image, isColumns in
      if isColumns {
        return newHeight == height
          ? image : image.filteredAlongColumns(Taps(from: height, to: newHeight, filter))
      }
      return newWidth == width ? image : image.filteredAlongRows(Taps(from: width, to: newWidth, filter))
    }
  }

  func filteredAlongRows(_ taps: Taps) -> Image {
    let newWidth = taps.runs.count
    return Image.make(newWidth, height, channels) { target in
      pixels.withUnsafeBufferPointer { source in
        taps.fixedPoint.withUnsafeBufferPointer { weights in
          taps.runs.withUnsafeBufferPointer { runs in
            // An image is never empty, and neither are its taps.
            let source = source.baseAddress!
            let weights = weights.baseAddress!
            for y in 0..<height {
              let row = source + y * width * channels
              let newRow = target + y * newWidth * channels
              if channels == 3 {
                filterRGB(row, runs, weights, newRow)
              } else {
                filterRow(row, channels, runs, weights, newRow)
              }
            }
          }
        }
      }
    }
  }

  func filteredAlongColumns(_ taps: Taps) -> Image {
    let row = width * channels
    let weights = taps.fixedPoint
    return Image.make(width, taps.runs.count, channels) { target in
      var sums = [Int32](repeating: 0, count: row)
      sums.withUnsafeMutableBufferPointer { sums in
        pixels.withUnsafeBufferPointer { source in
          for (y, run) in taps.runs.enumerated() {
            for x in 0..<row { sums[x] = half }
            for tap in 0..<run.count {
              let weight = weights[run.offset + tap]
              let line = source.baseAddress! + (run.first + tap) * row
              for x in 0..<row { sums[x] &+= weight &* Int32(line[x]) }
            }
            for x in 0..<row { target[y * row + x] = rounded(sums[x]) }
          }
        }
      }
    }
  }

  private func resizedToNearest(_ newWidth: Int, _ newHeight: Int) -> Image {
    picked(
      columns: nearestPositions(from: width, to: newWidth), rows: nearestPositions(from: height, to: newHeight))
  }

  /// The pixels where these columns and rows meet.
  func picked(columns: [Int], rows: [Int]) -> Image {
    Image.make(columns.count, rows.count, channels) { target in
      var target = target
      for y in rows {
        for x in columns {
          for c in 0..<channels { target[c] = pixels[(y * width + x) * channels + c] }
          target += channels
        }
      }
    }
  }

  private var withPremultipliedAlpha: Image {
    mappingPixels { color, alpha in UInt8(truncatingIfNeeded: dividedBy255(color * alpha)) }
  }

  private var withStraightAlpha: Image {
    mappingPixels { color, alpha in alpha == 0 ? UInt8(color) : UInt8(min(255, 255 * color / alpha)) }
  }

  /// RGBA with each colour replaced by a function of it and the alpha.
  private func mappingPixels(_ transform: (UInt32, UInt32) -> UInt8) -> Image {
    Image.make(width, height, 4) { target in
      for p in stride(from: 0, to: pixels.count, by: 4) {
        let alpha = UInt32(pixels[p + 3])
        for c in 0..<3 { target[p + c] = transform(UInt32(pixels[p + c]), alpha) }
        target[p + 3] = pixels[p + 3]
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
