import Explanations
import Models

/// Methods that weigh the feature maps of a layer by what the target's gradients say: the grid is
/// ReLU(Σ_k w_k A_k), or without ReLU where `rectify` is no.
struct CAMMethod: Explainer {
  let name: String
  let summary: String
  /// The map of a class, before ReLU.
  let combine: @Sendable (Tapped, Compat) -> [Float]
  var compat: [Compat] = [.gradCAM]
  var isRectified = true
  /// Whether there is a target: false where the map is that of the activations alone.
  var hasTarget = true

  var parameters: [Parameter] {
    (hasTarget ? Target.parameters : [Target.fixed]) + [
      Parameter(
        "rectify", choices: ["yes", "no"], default: isRectified ? "yes" : "no",
        "Whether what speaks against the target is left out (ReLU)."),
      Parameter("compat", choices: ([.none] + compat).map(\.rawValue), default: "none", Compat.summary),
    ]
  }
  var draws: [Draw] { hasTarget ? Target.draws : [] }
  var tapsLayers: Bool { true }

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let isRectified = try request.settings.word("rectify") == "yes"
    return try request.explainTapping(compat, weights: hasTarget ? nil : { logits, _ in logits.map { _ in 0 } }) {
      tapped in
      let grid = tapped.activations.heatmap(combine(tapped, compat))
      return DrawnMap(grid: isRectified ? grid.rectified : grid)
    }
  }
}

extension CAMMethod {
  /// A method of one weight for each channel.
  init(
    _ name: String, _ summary: String, compat: [Compat] = [.gradCAM],
    weights: @escaping @Sendable (Tapped, Compat) -> [Float]
  ) {
    self.init(name: name, summary: summary, combine: { Self.sum($0, weights($0, $1), $1) }, compat: compat)
  }

  /// Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2): w_k is the mean of ∂y/∂A_k.
  static let gradCAM = CAMMethod(
    "grad-cam", "Feature maps weighted by the mean of their gradients: where the layer speaks for the class.",
    compat: [.gradCAM, .scouter, .caStream, .tame]
  ) { tapped, _ in tapped.gradients.means }

  /// Grad-CAM++ (Chattopadhay et al., WACV 2018, eq. 19): w_k = Σ α·ReLU(g), α = g² / (2g² + (ΣA)·g³), and α = 0 where
  /// g is.
  ///
  /// To the divisor 1e-6 is added, as pytorch-grad-cam does, so that noise in gradients near 0 has no say.
  /// SCOUTER's and TAME's programs take Σ(A·g³) for (ΣA)·g³; both agree where g is the same at every position.
  static let gradCAMPlusPlus = CAMMethod(
    "grad-cam++",
    "Grad-CAM with weights for each position, which do better where a class is in an image more than once.",
    compat: [.gradCAM, .scouter, .caStream, .tame]
  ) { tapped, compat in plusPlusWeights(tapped.activations, tapped.gradients, compat) }

  /// How `weights` are applied.
  private static func sum(_ tapped: Tapped, _ weights: [Float], _ compat: Compat) -> [Float] {
    compat == .scouter
      ? tapped.activations.scouterSum(weights: weights) : tapped.activations.sum(weights: weights)
  }

  /// XGrad-CAM (Fu et al., BMVC 2020, eq. 8): w_k = Σ g·A / ΣA.
  static let xGradCAM = CAMMethod(
    "xgrad-cam", "Grad-CAM with gradients weighted by the activations, so that the map sums to the score's change."
  ) { tapped, _ in
    (0..<tapped.activations.channels).map { k in
      let a = tapped.activations[k]
      let sum = a.reduce(0, +)
      return zip(tapped.gradients[k], a).reduce(0) { $0 + $1.0 * $1.1 } / (sum + 1e-7)
    }
  }

  /// HiResCAM (Draelos & Carin, 2020): Σ_k g·A.
  static let hiResCAM = CAMMethod(
    name: "hires-cam", summary: "Gradients times activations, position by position: only what the model used.",
    combine: { tapped, _ in tapped.activations.combined(tapped.gradients, *).sum() })

  /// pytorch-grad-cam's element-wise form: Σ_k ReLU(g·A).
  static let gradCAMElementwise = CAMMethod(
    name: "grad-cam-elementwise", summary: "Gradients times activations, each product below 0 left out.",
    combine: { tapped, _ in tapped.activations.combined(tapped.gradients) { max($0 * $1, 0) }.sum() })

  /// LayerCAM (Jiang et al., TIP 2021, eq. 4): Σ_k ReLU(g)·A.
  static let layerCAM = CAMMethod(
    name: "layer-cam", summary: "Activations weighted by positive gradients at each position; good for early layers.",
    combine: { tapped, _ in tapped.activations.combined(tapped.gradients) { $0 * max($1, 0) }.sum() })

  static func plusPlusWeights(_ a: LayerMaps, _ g: LayerMaps, _ compat: Compat) -> [Float] {
    (0..<a.channels).map { k in
      let isOfProducts = compat == .scouter || compat == .tame
      let products = zip(a[k], g[k]).reduce(Float(0)) { $0 + $1.0 * $1.1 * $1.1 * $1.1 }
      let sum = a[k].reduce(0, +)
      return g[k].reduce(into: Float(0)) { weight, value in
        let square = value * value
        var below = 2 * square + (isOfProducts ? products : sum * square * value)
        switch compat {
        case .none, .gradCAM: below += 1e-6
        case .caStream: below += 0x1p-52
        default: break
        }
        if compat == .scouter || value != 0 && below != 0 { weight += square / below * max(value, 0) }
      }
    }
  }
}
