// SPDX-License-Identifier: Apache-2.0
public import Parallel
public import Tensors

/// Two neighbouring samples of a line and their weights, which sum to 1.
public struct Neighbours: Sendable, BitwiseCopyable {
  let first: Int, second: Int
  let keep: Float, share: Float

  /// For each of `output` positions, with half-pixel centres and in single precision as PyTorch has them: positions
  /// beyond the outer centres take the edge.
  static func scaled(from input: Int, to output: Int) throws -> Buffer<Neighbours?> {
    let scale = Float(input) / Float(output)
    return try Buffer(
      (0..<output).lazy.map { position in
        let source = max(0, scale * (Float(position) + 0.5) - 0.5)
        let first = min(input - 1, Int(source))
        let share = min(1, source - Float(first))
        return Neighbours(first: first, second: min(input - 1, first + 1), keep: 1 - share, share: share)
      })
  }

  /// For each of `size` pixels, of which `count` samples cover the part from `start` on that is `extent` long: the two
  /// that it lies between (half-pixel centres, positions in double precision); nil outside of that part.
  public static func centred(
    _ size: Int, from start: Double, extent: Double, count: Int
  ) throws -> Buffer<Neighbours?> {
    try Buffer(
      (0..<size).lazy.map { pixel in
        let position = (Double(pixel) + 0.5 - start) / extent
        guard position >= 0, position <= 1 else { return nil }
        let cell = max(0, min(position * Double(count) - 0.5, Double(count - 1)))
        let low = Int(cell)
        let share = Float(cell - Double(low))
        return Neighbours(first: low, second: min(low + 1, count - 1), keep: 1 - share, share: share)
      })
  }
}

/// The bilinear mixtures of a row-major map of `width` columns, [rows, columns]; `outside` where there are no
/// neighbours. `progress` is asked between the rows whether to go on.
public func interpolate(
  _ values: UnsafeBufferPointer<Float>, width: Int, _ columns: Buffer<Neighbours?>, _ rows: Buffer<Neighbours?>,
  outside: Float, _ progress: Progress
) throws -> Buffer<Float> {
  var polling = Polling(progress)
  let count = columns.count * rows.count
  return try Buffer(count: count) { result in
    result.update(repeating: outside, count: count)
    try columns.withUnsafeBufferPointer { columns in
      for (y, row) in rows.enumerated() {
        guard let row else { continue }
        let upper = row.first * width
        let lower = row.second * width
        for (x, column) in columns.enumerated() {
          guard let column else { continue }
          let above = column.keep * values[upper + column.first] + column.share * values[upper + column.second]
          let below = column.keep * values[lower + column.first] + column.share * values[lower + column.second]
          result[y * columns.count + x] = row.keep * above + row.share * below
        }
        try polling.count(8 * columns.count)
      }
    }
  }
}
