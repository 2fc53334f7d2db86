import Explanations
import Models
import Parallel
import Tensors

/// Ablation-CAM (Desai & Ramaswamy, WACV 2020, eq. 3): ReLU(Σ_k w_k A_k), w_k = (y − y_k)/|y|, where y_k is the score
/// with feature map k set to 0. Only what is behind the layer runs again (`ChannelTail`).
///
/// pytorch-grad-cam divides by y with its sign, so that a negative score turns the map around. Where the smallest
/// activation is not 0 it ablates to far below it: by 1e7 for the first of `batch` channels that run together, by
/// another 1e7 for each after that.
struct AblationCAM: Explainer {
  let name = "ablation-cam"
  let summary = "Feature maps weighted by what the score loses when they are taken away."
  let tapsLayers = true
  let parameters = [
    Parameter(
      "ratio", default: 1.0, in: 0...1,
      "The part of the channels that is ablated, those with the largest mean magnitude; the others weigh nothing."),
    Parameter(
      "batch", default: 32, in: 1...1_000_000, "For compat=grad-cam: how many channels that program runs at once."
    ).read(with: "compat", ["grad-cam"]),
    Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"),
    Parameter("compat", choices: ["none", "grad-cam"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasFeatureLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let scoring = try Scoring(request, "of", else: .logit)
    return try request.explainLayers(compat) { subject, layer, value, progress in
      let maps = try LayerMaps(layer, value, row: 0)
      let channels = Self.chosen(maps, try request.settings.number("ratio"))
      let ablated =
        compat == .gradCAM
        ? Self.farBelow(value, channels.count, batch: try request.settings.integer("batch"))
        : [Float](repeating: 0, count: channels.count)
      let whole = scoring(subject.logits)
      var weights = subject.classes.map { _ in [Float](repeating: 0, count: maps.channels) }
      let tail = try ChannelTail(
        request, layer, of: subject, value, channels, to: ablated, reading: scoring.logits(of: subject.classes),
        progress)
      try tail.forEach(progress) { i, logits in
        let scores = scoring(logits)
        for (c, index) in subject.classes.enumerated() {
          let y = whole[index]
          let divisor = compat == .gradCAM ? y : abs(y)
          weights[c][channels[i]] = (y - scores[index]) / (divisor != 0 ? divisor : 1)
        }
      }
      return try weights.map { weights in
        DrawnMap(
          grid: maps.heatmap(maps.sum(weights: weights)).rectified,
          details: [("weights", try Tensor(weights, [weights.count]))])
      }
    }
  }

  private static func chosen(_ maps: LayerMaps, _ ratio: Double) -> [Int] {
    let count = min(maps.channels, Int((Double(maps.channels) * ratio).rounded(.up)))
    let means = maps.map(abs).means
    return (0..<maps.channels).sorted { means[$0] > means[$1] || (means[$0] == means[$1] && $0 < $1) }
      .prefix(count).sorted()
  }

  private static func farBelow(_ value: Tensor, _ count: Int, batch: Int) -> [Float] {
    let smallest = value.array(of: Float.self).min() ?? 0
    var lowest = smallest
    return (0..<count).map { i in
      if i % batch == 0 { lowest = smallest }
      lowest = lowest == 0 ? 0 : lowest - 1e7
      return lowest
    }
  }
}

extension ExplanationRequest {
  /// Explains by what each tapped layer has for the image; maps of several layers are averaged.
  func explainLayers(
    _ compat: Compat, _ draw: (Subject, FeatureLayer, _ value: Tensor, Progress) throws -> [DrawnMap]
  ) throws -> [Explanation] {
    try explainEach(compat, fetching: { try featureLayers($0).map(\.value) }) { subject, progress in
      let layers = try featureLayers(subject.shape)
      let maps = try layers.enumerated().map { i, layer in
        try draw(subject, layer, subject.values[i], progress.range(i..<i + 1, of: layers.count))
      }
      return try subject.classes.indices.map { c in [try DrawnMap.mean(maps.map { $0[c] })] }
    }
  }
}
