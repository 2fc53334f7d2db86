import Explanations
import Glibc
import Models

/// Finer-CAM (Zhang et al., CVPR 2025, "Finer-CAM: spotting the difference reveals finer details for visual
/// explanation"): Grad-CAM of how much class c is ahead of the classes most like it, Σ_d p_d·(y_c − α·y_d) / Σ_d p_d,
/// with p their probabilities. The most alike are those with the nearest logits.
struct FinerCAM: Explainer {
  let name = "finer-cam"
  let summary = "Grad-CAM of the difference to the classes most alike: what tells them apart."
  let parameters = [
    Target.fixed,
    Parameter("alpha", default: 1, in: 0...10, "How much of the other classes' scores is subtracted."),
    Parameter("others", default: 3, in: 1...1000, "How many of the classes most alike are compared with."),
    Parameter("compat", choices: ["none", "grad-cam"], default: "none", Compat.summary),
  ]
  let tapsLayers = true

  func canExplain(_ model: Model) -> Bool {
    (model.possibleScores?.classCount ?? 2) > 1 && model.hasDifferentiableLayer
  }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let alpha = try request.settings.number("alpha")
    let others = try request.settings.integer("others")
    let compat: Compat = try request.settings.choice("compat")
    _ = try request.requiredScores()
    return try request.explainTapping(compat, weights: { Self.weights($0, $1, alpha, others) }) { tapped in
      DrawnMap(grid: tapped.activations.heatmap(tapped.activations.sum(weights: tapped.gradients.means)).rectified)
    }
  }

  /// The derivative of the difference by the logits, through the probabilities too.
  static func weights(_ logits: [Float], _ index: Int, _ alpha: Double, _ others: Int) -> [Float] {
    // A single logit z is ahead of the other class's, −z, by 2z.
    guard logits.count > 1 else { return [index == 1 ? 1 : -1] }
    let z = logits.map(Double.init)
    let largest = z.max() ?? 0
    let powers = z.map { exp($0 - largest) }
    let total = powers.reduce(0, +)
    let p = powers.map { $0 / total }
    let order = z.indices.filter { $0 != index }.sorted { (abs(z[$0] - z[index]), $0) < (abs(z[$1] - z[index]), $1) }
    let compared = order.prefix(others)
    let weight = compared.reduce(0) { $0 + p[$1] }
    let sum = compared.reduce(0) { $0 + p[$1] * (z[index] - alpha * z[$1]) }
    let below = weight + 1e-9
    return z.indices.map { j in
      var (slopeOfSum, slopeOfWeight) = (0.0, 0.0)
      for d in compared {
        let slope = p[d] * ((d == j ? 1 : 0) - p[j])
        slopeOfWeight += slope
        slopeOfSum += slope * (z[index] - alpha * z[d]) + p[d] * ((j == index ? 1 : 0) - (j == d ? alpha : 0))
      }
      return Float((slopeOfSum * below - sum * slopeOfWeight) / (below * below))
    }
  }
}
