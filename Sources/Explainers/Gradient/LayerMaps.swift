import Explanations
import Models
import Tensors

/// Feature maps of one image, or their gradients: [channels, rows · columns], whatever the arrangement of the layer.
struct LayerMaps {
  let channels: Int
  let rows: Int
  let columns: Int
  private(set) var values: [Float]

  var positions: Int { rows * columns }

  /// Image `row` of a batch of the layer's values.
  init(_ layer: FeatureLayer, _ tensor: Tensor, row: Int) throws {
    let grid = layer.grid
    (channels, rows, columns) = (layer.channels, grid.rows, grid.columns)
    let positions = rows * columns
    let all = grid.before + positions + grid.after
    let size = channels * all
    guard tensor.type == .float32, tensor.shape.count >= (row + 1) * size else {
      throw Failure(
        .invalidModel, "the layer has the shape \(tensor.shape) here, not \(channels) maps of \(all) positions")
    }
    let source = try tensor.aligned()
    var values = [Float](repeating: 0, count: channels * positions)
    let (channels, isChannelLast) = (channels, [.channelsLast, .tokens].contains(layer.arrangement))
    withExtendedLifetime(source) {
      let start = source.data.assumingMemoryBound(to: Float.self) + row * size
      for c in 0..<channels {
        for p in 0..<positions {
          values[c * positions + p] =
            isChannelLast
            ? start[(grid.before + p) * channels + c] : start[c * all + grid.before + p]
        }
      }
    }
    self.values = values
  }

  private init(like other: LayerMaps, _ values: [Float]) {
    (channels, rows, columns, self.values) = (other.channels, other.rows, other.columns, values)
  }

  /// The maps of one channel.
  subscript(channel: Int) -> ArraySlice<Float> { values[channel * positions..<(channel + 1) * positions] }

  func map(_ transform: (Float) -> Float) -> LayerMaps { LayerMaps(like: self, values.map(transform)) }

  func combined(_ other: LayerMaps, _ transform: (Float, Float) -> Float) -> LayerMaps {
    LayerMaps(like: self, zip(values, other.values).map { transform($0, $1) })
  }

  /// Each channel times its factor.
  func scaled(by factors: [Float]) -> LayerMaps {
    LayerMaps(like: self, values.indices.map { values[$0] * factors[$0 / positions] })
  }

  /// Σ over the channels, each times its weight.
  func sum(weights: [Float]? = nil) -> [Float] {
    var sum = [Float](repeating: 0, count: positions)
    for c in 0..<channels {
      let weight = weights?[c] ?? 1
      if weight == 0 { continue }
      for (p, value) in self[c].enumerated() { sum[p] += weight * value }
    }
    return sum
  }

  /// The same as SCOUTER's program sums: what is not a number counts as 1 at each position.
  func scouterSum(weights: [Float]) -> [Float] {
    var sum = [Float](repeating: 0, count: positions)
    for c in 0..<channels {
      for (p, value) in self[c].enumerated() {
        let term = weights[c] * value
        sum[p] += term.isNaN ? 1 : term
      }
    }
    return sum
  }

  /// The mean of each channel.
  var means: [Float] {
    (0..<channels).map { c in Float(self[c].reduce(0.0) { $0 + Double($1) } / Double(max(1, positions))) }
  }

  func heatmap(_ values: [Float]) -> Heatmap { Heatmap(values, width: columns, height: rows) }
}
