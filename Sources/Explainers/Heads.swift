import Models
import Tensors

extension Task {
  /// Explanations that a model makes itself, in the pass that classifies: channel `channel(class)` of the value
  /// `output`, which is [pictures, channels, height, width]. The range is that over all channels of the picture.
  func explainWithHead(_ output: String, channel: (Int) -> Int) throws -> [Explanation] {
    guard let logits = model.scores?.value else { throw Failure(.unsupported, "the model has no scores") }
    var explanations: [Explanation] = []
    try model.forEachBatch(of: pictures, fetch: [logits, model.value(named: output)], call) { first, count, tensors in
      let scores = try Scores(tensors[0], count: count)
      let maps = try HeadMaps(tensors[1], named: output, count: count)
      for i in 0..<count {
        let field = try model.field(of: pictures[first + i])
        let range = maps.range(i)
        for c in try resolvedClasses(first + i, scores, row: i) {
          explanations.append(
            Explanation(
              picture: first + i, classIndex: c, score: scores[i][c], grid: try maps.grid(i, channel(c)), range: range,
              field: field))
        }
      }
    }
    return explanations
  }
}

/// The maps of a batch of pictures, [count, channels, height, width].
private struct HeadMaps {
  let values: [Float]
  let channels: Int
  let height: Int
  let width: Int

  init(_ tensor: Tensor, named name: String, count: Int) throws {
    guard tensor.type == .float32, tensor.shape.rank == 4, tensor.shape[0] == count else {
      throw Failure(
        .invalidModel, "the maps \"\(name)\" are \(tensor.type) \(tensor.shape), not float32 [images, maps, height, width]")
    }
    values = tensor.array(of: Float.self)
    channels = tensor.shape[1]
    height = tensor.shape[2]
    width = tensor.shape[3]
  }

  func grid(_ i: Int, _ channel: Int) throws -> Grid {
    guard channel >= 0, channel < channels else {
      throw Failure(.invalidModel, "the model has \(channels) maps, but map \(channel) was asked for")
    }
    let start = (i * channels + channel) * height * width
    return Grid(Array(values[start..<start + height * width]), width: width, height: height)
  }

  func range(_ i: Int) -> ClosedRange<Float> {
    let size = channels * height * width
    return Grid(Array(values[i * size..<(i + 1) * size]), width: width, height: height * channels).range
  }
}
