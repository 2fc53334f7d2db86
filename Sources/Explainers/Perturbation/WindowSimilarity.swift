import Explanations
import Graph
import Models
import Parallel
import Tensors

/// Similarity-based saliency (Dong et al., CVPR Workshops 2019): a window slides over the image, and where covering it
/// takes the image's embedding away from that of a reference, the image is like it. A value's attribution is the mean
/// of the loss of similarity over the windows that cover it.
///
/// The embedding is the value that `layer` names, else what the last linear layer reads. It knows no classes: the maps
/// of all classes are one.
struct WindowSimilarity: Explainer {
  let name = "sliding-window-similarity"
  let summary = "Where the image is like a reference image, or like itself, by what a sliding window takes away."
  let tapsLayers = true
  let drawsNumbers = true
  let draws = [
    Draw("reference", "float32 [channels, height, width], the image to compare with; else the image itself."),
    Draw("baseline", "float32 [channels, height, width], what windows show; else `value`, or `baseline`."),
  ]

  enum Metric: String, CaseIterable { case cosine, euclidean }

  let parameters =
    SlidingWindows.parameters + [
      Parameter(
        "value", default: 0.0, in: -1e6...1e6, "What windows show, as the model is fed, where `baseline` is zero."
      ).read(with: "baseline", ["zero"]).read(withoutDraws: "baseline"),
      Parameter(
        "metric", default: Metric.cosine,
        "cosine: of the angle between embeddings; euclidean: their distance, as a loss where it grows."),
      Baseline.parameter.read(withoutDraws: "baseline"),
    ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let metric: Metric = try request.settings.choice("metric")
    let embedding = try Self.embedding(request)
    return try request.explainEach(.none, fetching: { _ in [embedding] }) { subject, progress in
      let windows = try SlidingWindows(request, subject)
      let filling = try Occlusion.filling(request, subject)
      let reference = try Self.reference(request, subject, embedding, progress)
      let size = subject.shape.count
      try requireMemory(size, of: 12)
      var sums = [Double](repeating: 0, count: size)
      var counts = [Int32](repeating: 0, count: size)
      let whole = metric.similarity(try subject.values[0].floats().array(of: Float.self), reference)
      try request.forEachForm(of: subject, regions: windows.regions, fetch: embedding, progress) { i, target in
        target.update(from: subject.start, count: size)
        windows.forEachValue(of: i) { target[$0] = filling[$0] }
      } _: { items, tensor in
        let numbers = try tensor.floats().array(of: Float.self)
        guard numbers.count == items.count * reference.count else { throw Self.refusal(request, embedding) }
        for (row, item) in items.enumerated() {
          let own = Array(numbers[row * reference.count..<(row + 1) * reference.count])
          let loss = whole - metric.similarity(own, reference)
          windows.forEachValue(of: item) {
            sums[$0] += loss
            counts[$0] += 1
          }
        }
      }
      let map = try DrawnMap.attribution(zip(sums, counts).map { Float($0 / Double(max(1, $1))) }, subject)
      return subject.classes.map { _ in [map] }
    }
  }

  private static func refusal(_ request: ExplanationRequest, _ value: ValueID) -> Failure {
    let name = quoted(request.model.graph.name(of: value))
    return Failure(.invalidArgument, "the value \(name) has no embedding for each image; name another one (`layer`)")
  }

  private static func embedding(_ request: ExplanationRequest) throws -> ValueID {
    guard request.layers.count < 2 else {
      throw Failure(.invalidArgument, "the method \"sliding-window-similarity\" takes one layer")
    }
    if let layer = request.layers.first { return layer }
    let graph = request.model.graph
    let logits = try request.requiredScores().logits
    let producers = graph.producers()
    var value = logits
    // Past the bias of a product.
    while let i = producers[value], ["Add", "Identity", "Reshape", "Flatten"].contains(graph.nodes[i].operation) {
      guard let next = graph.nodes[i].inputs.compactMap({ $0 }).first(where: { graph.constants[$0] == nil }) else {
        break
      }
      value = next
    }
    guard let i = producers[value], ["Gemm", "MatMul"].contains(graph.nodes[i].operation),
      let read = graph.nodes[i].input(0)
    else { return logits }
    return read
  }

  private static func reference(
    _ request: ExplanationRequest, _ subject: Subject, _ embedding: ValueID, _ progress: Progress
  ) throws -> [Float] {
    guard let given = try request.draw("reference", subject.shape.dimensions) else {
      return try subject.values[0].floats().array(of: Float.self)
    }
    let batch = given.reshaped(Shape(trusted: [1] + subject.shape.dimensions))
    let found = try request.forward(subject.image, batch, subject.shape, [embedding], progress.polling)
    return try found[0].floats().array(of: Float.self)
  }
}

extension WindowSimilarity.Metric {
  /// The larger, the more alike.
  fileprivate func similarity(_ a: [Float], _ b: [Float]) -> Double {
    func product(_ x: [Float], _ y: [Float]) -> Double { zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
    switch self {
    case .euclidean: return -zip(a, b).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
    case .cosine:
      let lengths = (product(a, a) * product(b, b)).squareRoot()
      return lengths > 0 ? product(a, b) / lengths : 0
    }
  }
}
