import Explanations
import Models
import Parallel
import Tensors

/// Score-CAM (Wang et al., CVPR-W 2020, algorithm 1): feature maps as masks of the image; the softmax over the channels
/// of what the model says to each masked image weighs them: ReLU(Σ_k w_k A_k).
///
/// By itself as pytorch-grad-cam: masks enlarged with aligned corners, scored by the logit; a channel that is constant
/// masks everything. The authors' program, and those after it, take the plain probability as weight, and sum other
/// maps: the enlarged ones (`authors`), the masks (`yiskw713`, `tame`) or the spread ones (`scouter`).
struct ScoreCAM: Explainer {
  let name = "score-cam"
  let summary = "Feature maps, each weighted by the score of the image masked with it: needs no gradients."
  let tapsLayers = true
  let drawsNumbers = true

  static let compats: [Compat] = [.authors, .yiskw713, .gradCAM, .torchcam, .scouter, .caStream, .tame]

  let parameters = [
    Parameter(
      "channels", default: 0, in: 0...1_000_000, "Run only so many channels, those of the largest range; 0: all."),
    Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"),
    Baseline.parameter,
    Parameter("compat", choices: ([.none] + compats).map(\.rawValue), default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasFeatureLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let isOfLogits = [.none, .gradCAM, .torchcam].contains(compat)
    let scoring = try Scoring(request, "of", else: isOfLogits ? .logit : .probability)
    return try request.explainChannels(compat, Self.form(compat)) { subject, masks, progress in
      let limit = try request.settings.integer("channels")
      let channels = masks.channels(limit).filter { !Self.skipsFlat(compat) || !masks.isFlat($0) }
      let filling = try Self.filling(request, subject, compat)
      let distinct = masks.distinct(channels)
      let scores = try request.channelScores(
        subject, distinct.channels, samples: 1, scoring, progress
      ) { channel, _, target in
        subject.write(mask: masks(channel), over: filling, into: target)
      }.map(distinct.spread)
      return try scores.map { scores in
        let weights = isOfLogits ? ChannelSum.softmax(scores) : scores.map { Float($0) }
        let grid = Self.sum(masks, channels, weights, subject, compat)
        return DrawnMap(grid: grid, details: [try ChannelSum.detail(masks, channels, weights)])
      }
    }
  }

  private static func form(_ compat: Compat) -> ChannelMasks.Form {
    switch compat {
    case .authors: .enlargedFirst
    case .yiskw713, .tame: .rectified
    case .torchcam: .spreadFirst
    case .scouter: .spreadExactly
    default: .corners
    }
  }

  private static func skipsFlat(_ compat: Compat) -> Bool { compat == .authors || compat == .scouter }

  /// CA-Stream masks the image before it is normalised, so that black shows.
  private static func filling(
    _ request: ExplanationRequest, _ subject: Subject, _ compat: Compat
  ) throws -> [Float]? {
    let baseline: Baseline = try request.settings.choice("baseline")
    guard compat == .caStream, baseline == .zero else { return try baseline.values(of: subject, request) }
    guard request.model.metadata.preprocessing == nil, subject.channels == 3 else {
      return try Baseline.black.values(of: subject, request)
    }
    // ImageNet's, which that program always takes.
    let black = zip([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).map { Float(-$0 / $1) }
    return black.flatMap { [Float](repeating: $0, count: subject.pixels) }
  }

  private static func sum(
    _ masks: ChannelMasks, _ channels: [Int], _ weights: [Float], _ subject: Subject, _ compat: Compat
  ) -> Heatmap {
    switch compat {
    case .scouter: return ChannelSum.ofSpread(masks, channels, weights)
    case .authors, .yiskw713, .tame:
      var sum = [Float](repeating: 0, count: subject.pixels)
      for (channel, weight) in zip(channels, weights) {
        let map = compat == .authors ? masks.enlarged(channel) : masks(channel)
        for p in sum.indices { sum[p] += weight * map[p] }
      }
      return Heatmap(sum, width: subject.width, height: subject.height).rectified.spread
    default: return ChannelSum.rectified(masks.maps, channels, weights)
    }
  }
}

extension ExplanationRequest {
  /// Explains by the channels of the tapped layers, taken as masks; maps of several layers are averaged.
  func explainChannels(
    _ compat: Compat, _ form: ChannelMasks.Form,
    _ draw: (Subject, ChannelMasks, Progress) throws -> [DrawnMap]
  ) throws -> [Explanation] {
    try explainLayers(compat) { subject, layer, value, progress in
      try draw(subject, ChannelMasks(try LayerMaps(layer, value, row: 0), form, for: subject), progress)
    }
  }
}
