import Explanations
import Graph
import Models
import Tensors

/// FullGrad (Srinivas & Fleuret, NeurIPS 2019, "Full-gradient representation for neural network visualization", eq. 8):
/// what the input and every bias of a convolution or batch normalisation have in the score, ψ(∇ₓy⊙x) + Σ ψ(∇_b y⊙b),
/// with ψ the size of each channel, spread over 0…1 and brought to the size of the input.
struct FullGrad: Explainer {
  let name = "full-grad"
  let summary = "Gradients of the input and of all biases together: every layer's part in the score, at full size."
  let parameters =
    Target.parameters + [
      Parameter("compat", choices: ["none", "grad-cam"], default: "none", Compat.summary)
    ]

  let draws = Target.draws

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let model = request.model
    let input = try model.imageInput()
    func analysis(_ shape: Shape) throws -> Analysis { try model.analysis(for: shape, request.scores, request.call) }
    return try request.explainTargets(
      compat, at: { try [input] + analysis($0).biases.map(\.layer.value) }, early: { _ in [input] }
    ) { target in
      let own = try analysis(target.shape)
      let whole = own.inputLayer(input, target.shape)
      let products = try LayerMaps(whole, target.gradients[0], row: target.row).combined(
        LayerMaps(whole, target.early[0], row: target.row), *)
      var sum = Self.sizes(products, compat)
      for (i, (layer, bias)) in own.biases.enumerated() {
        let maps = try LayerMaps(layer, target.gradients[1 + i], row: target.row).scaled(by: bias)
        let enlarged = try Self.sizes(maps, compat).resized(width: sum.width, height: sum.height)
        sum = Heatmap(zip(sum.values, enlarged.values).map(+), width: sum.width, height: sum.height)
      }
      return DrawnMap(grid: sum)
    }
  }

  /// The sizes of all channels, each spread over 0…1, summed.
  private static func sizes(_ maps: LayerMaps, _ compat: Compat) -> Heatmap {
    var sum = [Float](repeating: 0, count: maps.positions)
    for c in 0..<maps.channels {
      let size = maps.heatmap(maps[c].map(abs)).spread(adding: compat.spreadEpsilon)
      for (p, value) in size.values.enumerated() { sum[p] += value }
    }
    return maps.heatmap(sum)
  }
}
