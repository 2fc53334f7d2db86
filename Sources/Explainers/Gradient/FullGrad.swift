import Explanations
import Graph
import Models
import Tensors
import Transforms

/// FullGrad (Srinivas & Fleuret, NeurIPS 2019, "Full-gradient representation for neural network visualization", eq. 8):
/// what the input and every bias of a convolution or batch normalisation have in the score, ψ(∇ₓy⊙x) + Σ ψ(∇_b y⊙b),
/// with ψ the size of each channel, spread over 0…1 and brought to the size of the input.
struct FullGrad: Explainer {
  let name = "full-grad"
  let summary = "Gradients of the input and of all biases together: every layer's part in the score, at full size."
  let parameters = Target.parameters + [
    Parameter("compat", choices: ["none", "grad-cam"], default: "none", Compat.summary)
  ]

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let target = try Target(request)
    let input = try request.model.imageInput()
    var results = PendingExplanations(request)
    var classes: [[Int]] = []
    try request.model.forEachBackward(
      of: request.model.stream(request.images), target: target.head.logits,
      at: { try [input] + request.model.analysis(for: $0, target.head, request.call).biases.map(\.layer.value) },
      rules: .standard,
      early: { _ in [target.head.output, target.head.logits, input] }, request.call, request.progress,
      weights: { batch in
        let scores = try Scores(batch.early[0], count: batch.items.count, of: target.head)
        classes = try batch.items.enumerated().map { row, image in
          try request.resolvedClasses(image, scores, row: row)
        }
        results.note(scores, batch.items)
        return try request.targetWeights(batch, classes, target.weights)
      }
    ) { batch, round, gradients in
      let analysis = try request.model.analysis(for: batch.shape, target.head, request.call)
      for (row, image) in batch.items.enumerated() where round < classes[row].count {
        let whole = analysis.inputLayer(input, batch.shape)
        let products = try LayerMaps(whole, gradients[0], row: row).combined(
          LayerMaps(whole, batch.early[2], row: row), *)
        var sum = Self.sizes(products, compat)
        for (i, (layer, bias)) in analysis.biases.enumerated() {
          let own = Self.sizes(try LayerMaps(layer, gradients[1 + i], row: row).scaled(by: bias), compat)
          let enlarged = own.resized(width: sum.width, height: sum.height)
          sum = Heatmap(zip(sum.values, enlarged.values).map(+), width: sum.width, height: sum.height)
        }
        results.add(DrawnMap(grid: sum), image: image, round: round, class: classes[row][round])
      }
    }
    return try results.explanations(compat)
  }

  /// The sizes of all channels, each spread over 0…1, summed.
  private static func sizes(_ maps: LayerMaps, _ compat: Compat) -> Heatmap {
    var sum = [Float](repeating: 0, count: maps.positions)
    for c in 0..<maps.channels {
      for (p, value) in maps.heatmap(maps[c].map(abs)).spread(adding: compat.spreadEpsilon).values.enumerated() { sum[p] += value }
    }
    return maps.heatmap(sum)
  }
}
