import Engine
import Graph
import Models
import Parallel
import Tensors

extension FilterExplainer {
  /// Features [1, C, h, w] of image `row` of `inputs` in which all but the region of `filter` is zero, the
  /// mean colour; nil where there is no region.
  ///
  /// The region is where the filter's map, enlarged to the size of the input, is above the threshold.
  func features(
    ofRegion filter: Int, above threshold: Double, _ maps: FeatureMaps, _ inputs: Tensor, _ row: Int,
    _ parallel: Parallel, _ progress: Progress
  ) throws -> Tensor? {
    guard let input = model.input, inputs.type == .float32, inputs.shape.rank == 4, row < inputs.shape[0] else {
      throw Failure(.unsupported, "the model has no floating-point input for images")
    }
    let (channels, height, width) = (inputs.shape[1], inputs.shape[2], inputs.shape[3])
    let region = try maps.enlarged(filter, to: (width, height)).map { Double($0) > threshold }
    guard region.contains(true) else { return nil }
    let source = inputs.data.assumingMemoryBound(to: Float.self) + row * channels * region.count
    let masked = [Float](unsafeUninitializedCapacity: channels * region.count) { masked, filled in
      for i in masked.indices { masked[i] = region[i % region.count] ? source[i] : 0 }
      filled = channels * region.count
    }
    return try model.engine.run(
      [(input.value, Tensor(masked, [1, channels, height, width]))], fetch: [features], parallel: parallel,
      progress: progress)[0]
  }
}
