// SPDX-License-Identifier: Apache-2.0
public import Parallel
public import Tensors

/// A row-major map at another size, as Pillow resizes an image of mode `F`: weights and sums in double, a
/// float between the two passes; shrinking is antialiased.
///
/// Throws `invalidArgument` where `values` are not `width * height`, and for sizes out of range. `progress` is
/// asked between the lines whether to go on.
public func resize(
  _ values: UnsafeBufferPointer<Float>, width: Int, height: Int, to size: (width: Int, height: Int),
  filter: Filter, _ progress: Progress
) throws -> Buffer<Float> {
  try checkMap(values, width, height, size)
  if filter == .nearest {
    let columns = try nearestPositions(from: width, to: size.width)
    let rows = try nearestPositions(from: height, to: size.height)
    return try Buffer(count: rows.count * columns.count) { target in
      for (i, y) in rows.enumerated() {
        for (j, x) in columns.enumerated() { target[i * columns.count + j] = values[y * width + x] }
      }
    }
  }
  let startWithColumns = Taps.startWithColumns(from: (width, height), to: size)
  if !startWithColumns { try Image.checkSize(size.width, height) }
  var map = try Buffer(values)
  var current = (width: width, height: height)
  for isColumns in [startWithColumns, !startWithColumns] {
    if isColumns, size.height != height {
      let taps = try Taps(from: height, to: size.height, filter)
      let columns = try weightedSums(map, lines: current.width, taps, lineStride: 1, step: current.width, progress)
      map = try transposed(columns, rows: current.width, columns: size.height)
      current.height = size.height
    } else if !isColumns, size.width != width {
      let taps = try Taps(from: width, to: size.width, filter)
      map = try weightedSums(map, lines: current.height, taps, lineStride: width, step: 1, progress)
      current.width = size.width
    }
  }
  return map
}

/// A row-major map at another size by interpolation between the four nearest values, half-pixel centres,
/// edges repeated: torch's `interpolate(mode="bilinear", align_corners=False)`, ONNX `Resize` with `linear`
/// and `half_pixel`.
///
/// Throws as `resize`.
public func upsample(
  _ values: UnsafeBufferPointer<Float>, width: Int, height: Int, to size: (width: Int, height: Int),
  _ progress: Progress
) throws -> Buffer<Float> {
  try checkMap(values, width, height, size)
  let columns = try Neighbours.scaled(from: width, to: size.width)
  let rows = try Neighbours.scaled(from: height, to: size.height)
  return try interpolate(values, width: width, columns, rows, outside: 0, progress)
}

/// For each of `lines` lines the sums that `taps` describes: [lines, taps].
private func weightedSums(
  _ values: Buffer<Float>, lines: Int, _ taps: Taps, lineStride: Int, step: Int, _ progress: Progress
) throws -> Buffer<Float> {
  var polling = Polling(progress)
  return try Buffer(count: lines * taps.runs.count) { target in
    try values.withUnsafeBufferPointer { values in
      try taps.weights.withUnsafeBufferPointer { weights in
        for line in 0..<lines {
          for (i, run) in taps.runs.enumerated() {
            var sum = 0.0
            for tap in 0..<run.count {
              sum += Double(values[line * lineStride + (run.first + tap) * step]) * weights[run.offset + tap]
            }
            target[line * taps.runs.count + i] = Float(sum)
          }
          try polling.count(4 * (weights.count + taps.runs.count))
        }
      }
    }
  }
}

private func transposed(_ values: Buffer<Float>, rows: Int, columns: Int) throws -> Buffer<Float> {
  try Buffer(count: values.count) { target in
    values.withUnsafeBufferPointer { values in
      for row in 0..<rows {
        for column in 0..<columns { target[column * rows + row] = values[row * columns + column] }
      }
    }
  }
}

private func checkMap(
  _ values: UnsafeBufferPointer<Float>, _ width: Int, _ height: Int, _ size: (width: Int, height: Int)
) throws {
  try Image.checkSize(width, height)
  try Image.checkSize(size.width, size.height)
  guard values.count == width * height else {
    throw Failure(.invalidArgument, "a map of \(width)x\(height) has not \(values.count) values")
  }
}
