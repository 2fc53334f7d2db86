// SPDX-License-Identifier: Apache-2.0
import Tensors

/// A row-major map at another size, as Pillow resizes an image of mode `F`: weights and sums in double, a
/// float between the two passes; shrinking is antialiased.
///
/// Throws `invalidArgument` where `values` are not `width * height`, and for sizes out of range.
public func resize(
  _ values: UnsafeBufferPointer<Float>, width: Int, height: Int, to size: (width: Int, height: Int),
  filter: Filter
) throws -> [Float] {
  try checkMap(values, width, height, size)
  if filter == .nearest {
    let columns = nearestPositions(from: width, to: size.width)
    return nearestPositions(from: height, to: size.height).flatMap { y in
      columns.map { values[y * width + $0] }
    }
  }
  let startWithColumns = Taps.startWithColumns(from: (width, height), to: size)
  if !startWithColumns { try Image.checkSize(size.width, height) }
  var map = Array(values)
  var current = (width: width, height: height)
  for isColumns in [startWithColumns, !startWithColumns] {
    if isColumns, size.height != height {
      let taps = Taps(from: height, to: size.height, filter)
      let columns = weightedSums(map, lines: current.width, taps, lineStride: 1, step: current.width)
      map = transposed(columns, rows: current.width, columns: size.height)
      current.height = size.height
    } else if !isColumns, size.width != width {
      let taps = Taps(from: width, to: size.width, filter)
      map = weightedSums(map, lines: current.height, taps, lineStride: width, step: 1)
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
  _ values: UnsafeBufferPointer<Float>, width: Int, height: Int, to size: (width: Int, height: Int)
) throws -> [Float] {
  try checkMap(values, width, height, size)
  let columns = Neighbours.scaled(from: width, to: size.width)
  let rows = Neighbours.scaled(from: height, to: size.height)
  return interpolate(values, width: width, columns, rows, outside: 0)
}

/// For each of `lines` lines the sums that `taps` describes: [lines, taps].
private func weightedSums(_ values: [Float], lines: Int, _ taps: Taps, lineStride: Int, step: Int) -> [Float]
{
  var sums: [Float] = []
  sums.reserveCapacity(lines * taps.runs.count)
  for line in 0..<lines {
    for run in taps.runs {
      var sum = 0.0
      for tap in 0..<run.count {
        sum += Double(values[line * lineStride + (run.first + tap) * step]) * taps.weights[run.offset + tap]
      }
      sums.append(Float(sum))
    }
  }
  return sums
}

private func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
  var result = [Float](repeating: 0, count: values.count)
  for row in 0..<rows {
    for column in 0..<columns { result[column * rows + row] = values[row * columns + column] }
  }
  return result
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
