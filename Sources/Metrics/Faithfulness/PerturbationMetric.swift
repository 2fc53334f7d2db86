import Explainers
import Explanations
import Models
import Tensors

/// How often the class stays the largest while more and more of the image is taken away (CA-Stream's program): 10, 20,
/// …, 90 percent of the pixels, the most salient first (`order` positive), or the least salient.
///
/// The value is the share of the nine that keep the class; `details["hits"]` has each. `compat` "ca-stream": pixels
/// become black before normalisation, which is ImageNet's where the model file says none.
struct PerturbationMetric: Metric {
  let name = "perturbation"
  let better = Direction.less
  let summary =
    "Share of nine images, 10 to 90 percent of their pixels taken away, that keep their class; less is "
    + "better by positive order."
  let parameters = [
    Parameter(
      "order", choices: ["positive", "negative"], default: "positive",
      "positive: the most salient pixels go first; negative: the least salient."),
    Parameter("end", default: Filling.auto, "What they become; auto: zero as fed, with compat ca-stream black."),
    Parameter("compat", choices: ["none", "ca-stream"], default: "none", Score.compatSummary),
  ]

  private static let steps = 9

  /// An image that loses what is least salient should keep its class.
  func better(by settings: Settings) throws -> Direction {
    try settings.word("order") == "negative" ? .more : .less
  }

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let isCAStream = try request.settings.word("compat") == "ca-stream"
    let isNegative = try request.settings.word("order") == "negative"
    let asked: Filling = try request.settings.choice("end")
    let maps = try request.maps()
    let model = try request.model()
    var hits = [Double](repeating: 0, count: request.count * Self.steps)
    try request.forEachVariant(.logit, count: { _ in Self.steps }) { subject in
      let map = try maps[subject.index].resized(height: subject.height, width: subject.width).flat
      let order = Ranking.stableFirst.order(of: isNegative ? map.map { -$0 } : map)
      let places = Ranking.places(in: order)
      let away: [Float]
      if isCAStream, asked == .auto {
        let colors = try Normalization.caStream(model, channels: subject.channels)
        away = (0..<subject.count).map { -colors.mean[$0 / subject.pixels] / colors.std[$0 / subject.pixels] }
      } else {
        away = try asked.values(of: subject, model)
      }
      return { variant, target in
        let gone = subject.pixels * variant / (Self.steps + 1)
        withExtendedLifetime(subject.input) {
          for i in 0..<subject.count {
            target[i] = places[i % subject.pixels] < gone ? away[i] : subject.start[i]
          }
        }
      }
    } _: { scored in
      guard scored.variant > 0 else { return }
      // Where the class scores nothing, whether another is larger says nothing either.
      hits[scored.index * Self.steps + scored.variant - 1] =
        scored.score.isNaN ? .nan : scored.predicted == scored.classIndex ? 1 : 0
    }
    let values = (0..<request.count).map { i in
      hits[i * Self.steps..<(i + 1) * Self.steps].reduce(0, +) / Double(Self.steps)
    }
    let end = asked != .auto ? asked : isCAStream ? .black : .zero
    return Measurement(
      values, mapDetails: [("hits", try Tensor(hits, Shape(checking: [request.count, Self.steps])))],
      chosen: ["end": .text(end.rawValue)])
  }
}
