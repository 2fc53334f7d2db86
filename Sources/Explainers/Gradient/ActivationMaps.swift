import Explanations
import Models
import Tensors

extension CAMMethod {
  /// CAM (Zhou et al., CVPR 2016, eq. 2): w_k is the weight that the class has for feature k, which is the sum over the
  /// positions of ∂y/∂A_k where only pooling and a linear layer follow: the same number for every image. Where more
  /// follows it is that sum at this image.
  static let cam = CAMMethod(
    name: "cam",
    summary:
      "Feature maps weighted by the class's own weights: for networks of pooling and one linear layer at the end.",
    combine: { tapped, _ in
      tapped.activations.sum(weights: tapped.gradients.means.map { $0 * Float(tapped.gradients.positions) })
    }, compat: [.scouter], isRectified: false)

  /// The mean of the feature maps: where the layer is active, whatever the class.
  static let activationMap = CAMMethod(
    name: "activation-map", summary: "The mean of the feature maps: where the layer is active, whatever the class.",
    combine: { tapped, _ in tapped.activations.sum().map { $0 / Float(max(1, tapped.activations.channels)) } },
    compat: [], hasTarget: false)

  /// Eigen-CAM (Muhammad & Yeasin, IJCNN 2020): the projection of the feature vectors, less their mean, on the
  /// direction in which they vary most. Its sign is such that the map grows with the sum of the feature maps;
  /// pytorch-grad-cam leaves the sign to its solver.
  static let eigenCAM = CAMMethod(
    name: "eigen-cam",
    summary: "The first principal component of the feature maps: what stands out, whatever the class.",
    combine: { tapped, _ in principalMap(tapped.activations) }, hasTarget: false)

  /// The same of gradients times activations, so that it is of the class.
  static let eigenGradCAM = CAMMethod(
    name: "eigen-grad-cam", summary: "The first principal component of gradients times activations.",
    combine: { tapped, _ in principalMap(tapped.activations.combined(tapped.gradients, *)) })

  private static func principalMap(_ maps: LayerMaps) -> [Float] {
    let means = maps.means
    // [channels, positions]
    let centred = (0..<maps.channels).flatMap { c in maps[c].map { Double($0) - Double(means[c]) } }
    let projected = PrincipalComponent.projections(centred, rows: maps.channels, columns: maps.positions)
    let sums = maps.sum()
    let mean = sums.reduce(0, +) / Float(max(1, sums.count))
    let agreement = zip(projected, sums).reduce(0) { $0 + $1.0 * Double($1.1 - mean) }
    return projected.map { Float(agreement < 0 ? -$0 : $0) }
  }
}
