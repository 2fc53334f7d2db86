import Images
import Parallel
import Tensors

/// The maps of a layer's filters for one image.
struct FeatureMaps {
  let channels: Int
  let height: Int
  let width: Int
  /// [channels, height, width]
  let base: UnsafePointer<Float>
  private let tensor: Tensor

  var positions: Int { height * width }

  /// Image `index` of the batch `tensor`, [images, channels, height, width].
  init(_ tensor: Tensor, _ index: Int) throws {
    guard tensor.type == .float32, tensor.shape.rank == 4, index < tensor.shape[0], tensor.count > 0 else {
      throw Failure(
        .invalidModel, "the features are \(tensor.type) \(tensor.shape), not float32 [images×filters×height×width]")
    }
    self.tensor = tensor
    channels = tensor.shape[1]
    height = tensor.shape[2]
    width = tensor.shape[3]
    let size = channels * height * width
    base = UnsafePointer(tensor.data.assumingMemoryBound(to: Float.self)) + index * size
  }

  /// The map of a filter, row by row.
  subscript(filter: Int) -> UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: base + filter * positions, count: positions)
  }

  /// The largest activation of a filter; not a number is no activation.
  func maximum(of filter: Int) -> Float { Self.maximum(self[filter]) }

  static func maximum(_ values: some Sequence<Float>) -> Float {
    var largest = -Float.infinity
    for value in values where value > largest { largest = value }
    return largest
  }

  /// The map at another size: bilinear, half-pixel centres.
  func enlarged(_ filter: Int, to size: (width: Int, height: Int)) throws -> Buffer<Float> {
    try upsample(self[filter], width: width, height: height, to: size, .unwatched)
  }
}
