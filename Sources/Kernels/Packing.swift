import KernelCore
public import Parallel

extension Kernels {
  /// Floats in a packed matrix of `depth` (taps × channels) rows and `columns` columns.
  public func packedCount(depth: Int, columns: Int) -> Int {
    if variant == .openblas { return depth * columns }
    let whole = columns / panelWidth * panelWidth
    return depth * (whole + (whole < columns ? table.panelWidth(columns - whole) : 0))
  }

  /// The columns of a full panel.
  var panelWidth: Int { table.panelWidth(.max) }

  /// Packs weights for `multiply` and `convolve`: panel after panel of neighbouring columns, each [taps, channels,
  /// panel width]; the last panel is filled up with zeros. OpenBLAS gets one panel as wide as the matrix.
  ///
  /// Element (tap, channel, column) of the source lies
  /// `4 * (tap * tapStride + channel * channelStride + column * columnStride)` bytes after `source`, which may be
  /// misaligned; each column is multiplied by `scale[column]` where given.
  public func pack(
    _ source: UnsafeRawPointer, taps: Int, tapStride: Int, channels: Int, channelStride: Int, columns: Int,
    columnStride: Int, scale: UnsafePointer<Float>?, into packed: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    guard columns > 0 else { return }
    let widest = variant == .openblas ? columns : panelWidth
    parallel.forEach((columns + widest - 1) / widest) { panels in
      for panel in panels {
        let first = panel * widest
        let width = variant == .openblas ? columns : table.panelWidth(columns - first)
        var row = packed + taps * channels * first
        for tap in 0..<taps {
          for channel in 0..<channels {
            let place = source + 4 * (tap * tapStride + channel * channelStride + first * columnStride)
            for n in 0..<min(width, columns - first) {
              let weight = place.loadUnaligned(fromByteOffset: 4 * n * columnStride, as: Float.self)
              row[n] = weight * (scale?[first + n] ?? 1)
            }
            for n in min(width, columns - first)..<width { row[n] = 0 }
            row += width
          }
        }
      }
    }
  }
}
