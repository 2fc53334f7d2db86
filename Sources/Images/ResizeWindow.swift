// SPDX-License-Identifier: Apache-2.0
import Parallel
import Tensors

extension Image {
  /// What lies in the window `columns`×`rows` of this image at another size, bit for bit as `resized`. Only the pixels
  /// that it depends on are touched: the image at the other size may be larger than any that can be made.
  ///
  /// For grey and RGB. Throws `unsupported` where even so it would become too large.
  func resized(
    width newWidth: Int, height newHeight: Int, filter: Filter, columns: Range<Int>, rows: Range<Int>,
    _ progress: Progress
  ) throws -> Image {
    let across = try AxisResize(from: width, to: newWidth, filter, columns)
    let down = try AxisResize(from: height, to: newHeight, filter, rows)
    let source = try placed(
      left: -across.needed.lowerBound, top: -down.needed.lowerBound, width: across.needed.count,
      height: down.needed.count, fill: 0)
    if Taps.startWithColumns(from: (width, height), to: (newWidth, newHeight)) {
      return try across.alongRows(down.alongColumns(source, progress), progress)
    }
    try Image.checkSize(columns.count, down.needed.count)
    return try down.alongColumns(across.alongRows(source, progress), progress)
  }
}

/// How some positions of an axis are made at another size, and of which part of the old one.
private struct AxisResize {
  let needed: Range<Int>
  private enum Means { case same, nearest(Buffer<Int>), taps(Taps) }
  private let means: Means

  init(from input: Int, to output: Int, _ filter: Filter, _ positions: Range<Int>) throws {
    if input == output {
      (needed, means) = (positions, .same)
      return
    }
    if filter == .nearest {
      let found = try nearestPositions(from: input, to: output, positions)
      needed = (found.first ?? 0)..<(found.last ?? 0) + 1
      means = .nearest(try Buffer(found.lazy.map { [first = found.first ?? 0] in $0 - first }))
      return
    }
    let taps = try Taps(from: input, to: output, filter, positions)
    let first = taps.runs.lazy.map(\.first).min() ?? 0
    needed = first..<max(first + 1, taps.runs.lazy.map { $0.first + $0.count }.max() ?? 1)
    means = .taps(try taps.shifted(by: -first))
  }

  func alongRows(_ image: Image, _ progress: Progress) throws -> Image {
    switch means {
    case .same: image
    case .nearest(let positions): try image.picked(columns: positions, rows: 0..<image.height, progress)
    case .taps(let taps): try image.filteredAlongRows(taps, progress)
    }
  }

  func alongColumns(_ image: Image, _ progress: Progress) throws -> Image {
    switch means {
    case .same: image
    case .nearest(let positions): try image.picked(columns: 0..<image.width, rows: positions, progress)
    case .taps(let taps): try image.filteredAlongColumns(taps, progress)
    }
  }
}
