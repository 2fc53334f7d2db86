import Graph
import Models
import Tensors

/// Maps that a model makes itself, in the pass that classifies.
extension Task {
  /// Channel `channel(class)` of the value `output`, which is [pictures, channels, height, width]. The range is that
  /// over all channels of the picture.
  func explainWithHead(_ output: String, channel: (Int) -> Int) throws -> [Explanation] {
    try explain(fetching: [model.value(named: output)]) { tensors, classes in
      let maps = try HeadMaps(tensors[0], named: output, count: classes.count)
      return try classes.enumerated().map { i, wanted in
        let range = maps.range(i)
        return try wanted.map { (try maps.grid(i, channel($0)), range) }
      }
    }
  }

  /// Runs the model and lets `draw` make the maps of a batch from the fetched values and the classes of each picture.
  func explain(
    fetching values: [ValueID],
    _ draw: ([Tensor], [[Int]]) throws -> [[(grid: Grid, range: ClosedRange<Float>)]]
  ) throws -> [Explanation] {
    guard let logits = model.scores?.value else { throw Failure(.unsupported, "the model has no scores") }
    var explanations: [Explanation] = []
    try model.forEachBatch(of: pictures, fetch: [logits] + values, call) { first, count, tensors in
      let scores = try Scores(tensors[0], count: count)
      let classes = try (0..<count).map { try resolvedClasses(first + $0, scores, row: $0) }
      let maps = try draw(Array(tensors[1...]), classes)
      for (i, wanted) in classes.enumerated() {
        let field = try model.field(of: pictures[first + i])
        for (c, map) in zip(wanted, maps[i]) {
          explanations.append(
            Explanation(
              picture: first + i, classIndex: c, score: scores[i][c], grid: map.grid, range: map.range, field: field))
        }
      }
    }
    return explanations
  }
}

/// The maps of a batch of pictures, [count, channels, height, width]. Only those that are asked for are copied.
struct HeadMaps {
  let channels: Int
  private let tensor: Tensor
  private let height: Int
  private let width: Int

  init(_ tensor: Tensor, named name: String, count: Int) throws {
    guard tensor.type == .float32, tensor.shape.rank == 4, tensor.shape[0] == count, tensor.shape.count > 0 else {
      throw Failure(
        .invalidModel,
        "the maps \"\(name)\" are \(tensor.type) \(tensor.shape), not float32 [images, maps, height, width]")
    }
    self.tensor = try tensor.aligned()
    channels = tensor.shape[1]
    height = tensor.shape[2]
    width = tensor.shape[3]
  }

  func grid(_ i: Int, _ channel: Int) throws -> Grid {
    guard channel >= 0, channel < channels else {
      throw Failure(.invalidModel, "the model has \(channels) maps, but map \(channel) was asked for")
    }
    let values = withValues(from: i * channels + channel, count: 1) { Array($0) }
    return Grid(values, width: width, height: height)
  }

  /// The smallest and largest finite value of all maps of a picture; 0…0 where there is none.
  func range(_ i: Int) -> ClosedRange<Float> {
    withValues(from: i * channels, count: channels) { values in
      var (low, high) = (Float.infinity, -Float.infinity)
      for value in values where value.isFinite {
        low = min(low, value)
        high = max(high, value)
      }
      return low <= high ? low...high : 0...0
    }
  }

  private func withValues<T>(from map: Int, count: Int, _ body: (UnsafeBufferPointer<Float>) -> T) -> T {
    withExtendedLifetime(tensor) {
      let start = tensor.data.assumingMemoryBound(to: Float.self) + map * height * width
      return body(UnsafeBufferPointer(start: start, count: count * height * width))
    }
  }
}
