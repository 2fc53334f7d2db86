import Explanations
import Models
import Tensors

/// CA-Stream (Torres et al., XAI4CV at CVPR 2024, "CA-Stream: Attention-based pooling for interpretable image
/// recognition"): what the class token attends to, the raw attention of section 3.
///
/// The token pools the features in place of an average; it does not know of classes, so every class of an image gets
/// the same grid. This is the softmax over positions, 1 in sum for each head, averaged over the heads (the authors'
/// option `mean`; their function itself was never published). The mean over stages is ours: each is multiplied by its
/// number of positions, so that 1 is what an average pooling would give, and enlarged to the finest one.
struct CAStream: Explainer {
  let name = "ca-stream"
  let summary = "Where the class token of a CA-Stream model looks to classify: one map, the same for every class."
  let parameters = [
    Parameter("stage", default: -1, in: -2...63, "The stage to show, from 0; -1: the last, -2: the mean of all."),
    Parameter("head", default: -1, in: -1...1023, "The attention head to show, from 0; -1: the mean of all."),
  ]

  func canExplain(_ model: Model) -> Bool { model.metadata.parameter("outputs", of: name) != nil }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let outputs = try stages(request)
    let head = try request.settings.integer("head")
    return try request.explain(fetching: outputs.map { try request.model.value(named: $0) }) { tensors, classes in
      let maps = try zip(outputs, tensors).map { name, tensor in
        try TokenAttention(tensor, named: name, count: classes.count, head: head)
      }
      return try classes.enumerated().map { i, wanted in
        let grid = try maps.count == 1 ? maps[0].grid(i) : Self.mean(maps.map { $0.relativeGrid(i) })
        return wanted.map { _ in (grid, grid.range) }
      }
    }
  }

  /// Names of the outputs to show.
  private func stages(_ request: ExplanationRequest) throws -> [String] {
    let outputs = request.model.metadata.parameter("outputs", of: name)?.split(separator: " ").map(String.init) ?? []
    guard let last = outputs.last else {
      throw Failure(.invalidModel, "metadata limpid.explain.\(name).outputs names no output")
    }
    let stage = try request.settings.integer("stage")
    guard stage < outputs.count else {
      throw Failure(.invalidArgument, "stage \(stage) is out of range; the model has \(outputs.count), from 0")
    }
    return stage == -2 ? outputs : [stage < 0 ? last : outputs[stage]]
  }

  /// The mean of grids of different sizes, at the size of the largest.
  private static func mean(_ grids: [Heatmap]) throws -> Heatmap {
    let width = grids.map(\.width).max() ?? 0, height = grids.map(\.height).max() ?? 0
    var sum = [Float](repeating: 0, count: width * height)
    for grid in grids {
      for (j, value) in try grid.resized(width: width, height: height).values.enumerated() { sum[j] += value }
    }
    return Heatmap(sum.map { $0 / Float(grids.count) }, width: width, height: height)
  }
}

/// The attention of one stage for a batch of images, [count, heads, height, width]: of one head, or the mean.
private struct TokenAttention {
  let values: [Float]
  let heads: Int
  let height: Int
  let width: Int
  let shown: Range<Int>

  init(_ tensor: Tensor, named name: String, count: Int, head: Int) throws {
    guard tensor.type == .float32, tensor.shape.rank == 4, tensor.shape[0] == count, tensor.shape.count > 0 else {
      throw Failure(
        .invalidModel,
        "the attention \(quoted(name)) is \(tensor.type) \(tensor.shape), not float32 [images, heads, height, width]")
    }
    heads = tensor.shape[1]
    guard head < heads else {
      throw Failure(.invalidArgument, "head \(head) is out of range; \(quoted(name)) has \(heads), from 0")
    }
    values = tensor.array(of: Float.self)
    height = tensor.shape[2]
    width = tensor.shape[3]
    shown = head < 0 ? 0..<heads : head..<head + 1
  }

  /// Probabilities of the positions.
  func grid(_ i: Int) -> Heatmap { grid(i, scale: 1) }

  /// The same, in multiples of what uniform attention would be.
  func relativeGrid(_ i: Int) -> Heatmap { grid(i, scale: Float(width * height)) }

  private func grid(_ i: Int, scale: Float) -> Heatmap {
    let size = width * height
    let cells = (0..<size).map { j in
      shown.reduce(Float(0)) { $0 + values[(i * heads + $1) * size + j] } * scale / Float(shown.count)
    }
    return Heatmap(cells, width: width, height: height)
  }
}
