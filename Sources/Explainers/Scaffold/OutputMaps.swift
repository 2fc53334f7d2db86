import Explanations
import Graph
import Models
import Parallel
import Tensors

/// Maps that a model makes itself, in the pass that classifies.
extension ExplanationRequest {
  /// Channel `channel(class)` of the value `output`, which is [images, channels, height, width]. The range is that
  /// over all channels of the image.
  func explainWithOutput(_ output: String, channel: (Int) -> Int) throws -> [Explanation] {
    try explain(fetching: [model.value(named: output)]) { tensors, classes in
      let maps = try OutputMaps(tensors[0], named: output, count: classes.count)
      return try classes.enumerated().map { i, wanted in
        let range = maps.range(i)
        return try wanted.map { (try maps.grid(i, channel($0)), range) }
      }
    }
  }

  /// Runs the model and lets `draw` make the maps of a batch from the fetched values and the classes of each image.
  func explain(
    fetching values: [ValueID], _ draw: ([Tensor], [[Int]]) throws -> [[DrawnGrid]]
  ) throws -> [Explanation] {
    let head = try requiredScores()
    var explanations: [Explanation] = []
    try model.forEachBatch(
      of: model.stream(images, progress), fetch: [head.output] + values, call, progress
    ) { batch in
      let scores = try Scores(batch.tensors[0], count: batch.count, of: head)
      let classes = try batch.items.enumerated().map { row, image in
        try resolvedClasses(image, scores, row: row)
      }
      let maps = try draw(Array(batch.tensors[1...]), classes)
      try add(maps, of: classes, scores, batch.items, to: &explanations)
    }
    return explanations
  }

  /// The explanations of a batch of images, whose scores are in the same order.
  func add(
    _ maps: [[DrawnGrid]], of classes: [[Int]], _ scores: Scores, _ items: [Int],
    to explanations: inout [Explanation]
  ) throws {
    for (i, image) in items.enumerated() {
      let field = try model.field(of: images[image])
      for (c, map) in zip(classes[i], maps[i]) {
        explanations.append(
          Explanation(
            image: image, classIndex: c, score: scores[i][c], grid: map.grid, range: map.range, field: field))
        if explanations.count == 1 { try checkMemory(ofAllLike: explanations[0]) }
      }
    }
  }
}

/// A map, and the range that its colours span.
typealias DrawnGrid = (grid: Heatmap, range: ClosedRange<Float>)

/// The maps of a batch of images, [count, channels, height, width]. Only those that are asked for are copied.
struct OutputMaps {
  let channels: Int
  private let tensor: Tensor
  private let height: Int
  private let width: Int

  init(_ tensor: Tensor, named name: String, count: Int) throws {
    guard tensor.type == .float32, tensor.shape.rank == 4, tensor.shape[0] == count, tensor.shape.count > 0 else {
      throw Failure(
        .invalidModel,
        "the maps \(quoted(name)) are \(tensor.type) \(tensor.shape), not float32 [images, maps, height, width]")
    }
    self.tensor = try tensor.aligned()
    channels = tensor.shape[1]
    height = tensor.shape[2]
    width = tensor.shape[3]
  }

  func grid(_ i: Int, _ channel: Int) throws -> Heatmap {
    guard channel >= 0, channel < channels else {
      throw Failure(.invalidModel, "the model has \(channels) maps, but map \(channel) was asked for")
    }
    let values = withValues(from: i * channels + channel, count: 1) { Array($0) }
    return Heatmap(values, width: width, height: height)
  }

  /// The smallest and largest finite value of all maps of an image; 0…0 where there is none.
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
