import Explainers
import Explanations
import Models
import Tensors

/// Pixel flipping (Bach et al., PLOS ONE 2015, section "Validation"): the class's score while the values of the image
/// that the attribution finds most important are replaced, some at a time.
///
/// An attribution [channels, height, width] orders every colour value by itself, a map all colours of a pixel together.
/// By default the curve starts with the untouched image and the value is the area under it divided by the steps.
/// `compat` "quantus": the curve starts after the first step, the area is not divided, "black" is the smallest and
/// "white" the largest value of the image, and the number of values a step must divide height × width.
struct PixelFlipping: Metric {
  let name = "pixel-flipping"
  let better = Direction.less
  let summary = "Area under the class's score while the most important values are replaced; less is better."
  let reads = MapSource.attribution
  let parameters = [
    Parameter("features", default: 1, in: 1...100_000_000, "Values (pixels, for a map) that a step replaces."),
    Parameter(
      "baseline", default: Filling.auto,
      "What they become; auto: zero as fed, with compat quantus the smallest value."),
    Score.parameter(else: "probability"),
    Parameter("compat", choices: ["none", "quantus"], default: "none", Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let settings = request.settings
    let isQuantus = try settings.word("compat") == "quantus"
    let features = try settings.integer("features")
    let asked: Filling = try settings.choice("baseline")
    let filling = asked != .auto ? asked : isQuantus ? .black : .zero
    let quantity = try Score.quantity(settings, else: .probability)
    let maps = try request.maps()
    let model = try request.model()
    // Rounded as there, ties may arise; of equal values the first goes first.
    let largest = isQuantus ? maps.largestMagnitude : 0
    var curves = Curves(count: request.count)
    func steps(_ shape: Shape) throws -> Int {
      guard !isQuantus || shape[1] * shape[2] % features == 0 else {
        throw Failure(
          .invalidArgument,
          "\"features\" is \(features); with compat \"quantus\" it must divide the image's "
            + "\(shape[1] * shape[2]) pixels")
      }
      let count = maps.channels > 1 ? shape.count : shape[1] * shape[2]
      return (count + features - 1) / features
    }
    try request.forEachVariant(quantity, count: steps) { subject in
      var map = try maps[subject.index].resized(height: subject.height, width: subject.width)
      if largest > 0 { map.values = map.values.map { $0 / largest } }
      guard map.channels == 1 || map.channels == subject.channels else {
        throw Failure(.invalidArgument, "maps have \(map.channels) channels; the model's input has \(subject.channels)")
      }
      let places = Ranking.places(in: Ranking.stableFirst.order(of: map.values))
      let flipped = try Self.replacement(filling, subject, model, isQuantus)
      return { variant, target in
        withExtendedLifetime(subject.input) {
          for i in 0..<subject.count {
            target[i] = places[i % places.count] < variant * features ? flipped[i] : subject.start[i]
          }
        }
      }
    } _: { scored in
      if scored.variant > 0 || !isQuantus { curves.append(scored.score, to: scored.index) }
    }
    let areas = curves.points.map { Curves.area($0) / (isQuantus ? 1 : Double(max(1, $0.count - 1))) }
    return Measurement(
      areas, curve: try curves.tensor(),
      chosen: ["baseline": .text(filling.rawValue), "score": .text(quantity.rawValue)])
  }

  /// The smallest and largest value of an image do not change while values become it.
  private static func replacement(
    _ filling: Filling, _ subject: Subject, _ model: Model, _ isQuantus: Bool
  ) throws -> [Float] {
    guard isQuantus, filling == .black || filling == .white else { return try filling.values(of: subject, model) }
    let values = subject.values
    let level = (filling == .black ? values.min() : values.max()) ?? 0
    return [Float](repeating: level, count: subject.count)
  }
}
