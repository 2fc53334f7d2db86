import Explainers
import Explanations
import Models
import Tensors

/// Infidelity (Yeh et al., NeurIPS 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 2.1): how
/// far the attribution is from predicting what a perturbation does to the class's score.
///
/// For draws I of the shape of the image, x′ = x − I: the mean of (Σ I·E − (s(x) − s(x′)))². A map of one value a pixel
/// counts for each colour. Normalised, E is first multiplied by β = Σ Δ·g / Σ g², which fits it best (g = Σ I·E, Δ the
/// fall of the score). Draws that are not fed are normal, times `std`.
///
/// `compat` "scouter": E are bytes, enlarged as Pillow does; g is the mean over the colours; the score is the
/// log-probability; always normalised; the model is fed images in 0…1, and draws that are not fed replace the whole
/// image by clip(std·normal, 0, 1).
struct Infidelity: Metric {
  let name = "infidelity"
  let better = Direction.less
  let summary = "Squared error of the attribution as a prediction of what perturbations do; less is better."
  let reads = MapSource.attribution
  let drawsNumbers = true
  let draws = [
    Draw(
      "perturbation", "[images × samples, channels, height, width], image after image: what is subtracted."),
    MeasurementRequest.rangeDraw,
  ]
  let parameters = [
    Parameter(
      "samples", default: 0, in: 0...1_000_000,
      "Perturbations of an image; 0: as many as are fed, else 10, with compat scouter 100."),
    Parameter("std", default: 0.2, in: 0...1e6, "Of perturbations that are not fed, in units of the model's input."),
    Parameter("normalize", choices: ["no", "yes"], default: "no", "Whether the attribution is scaled to fit best."),
    Score.parameter(else: "the logit, with compat scouter the log-probability"),
    Parameter("compat", choices: ["none", "captum", "scouter"], default: "none", Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let settings = request.settings
    let isScouter = try settings.word("compat") == "scouter"
    let quantity = try Score.quantity(settings, else: isScouter ? .logProbability : .logit)
    let isNormalized = try isScouter || settings.word("normalize") == "yes"
    let noise = try Perturbations(request, samples: 10, scouterSamples: 100)
    let std = try settings.number("std")
    let attributions = try Attributions(request, isScouter)
    // Σ I·E and the fall of the score, for each sample.
    var products = [Double](repeating: 0, count: request.count * noise.samples)
    var falls = products
    var clean = 0.0
    try request.forEachVariant(quantity, count: { _ in noise.samples }) { subject in
      let attribution = try attributions.values(for: subject)
      return { variant, target in
        let sample = variant - 1
        let change = try noise.values(subject, sample) { values, random in
          random.normal(0..<subject.count) { i, value in
            let drawn = std * Double(value)
            values[i] = isScouter ? Double(subject.start[i]) - min(max(drawn, 0), 1) : drawn
          }
        }
        var sum = 0.0
        for i in 0..<subject.count {
          target[i] = Float(Double(subject.start[i]) - change[i])
          sum += change[i] * Double(attribution[i])
        }
        withExtendedLifetime(subject.input) {}
        products[subject.index * noise.samples + sample] = isScouter ? sum / Double(subject.channels) : sum
      }
    } _: { scored in
      if scored.variant == 0 { clean = scored.score }
      if scored.variant > 0 { falls[scored.index * noise.samples + scored.variant - 1] = clean - scored.score }
    }
    let values = (0..<request.count).map { i in
      let range = i * noise.samples..<(i + 1) * noise.samples
      return Self.error(products[range], falls[range], isNormalized)
    }
    return Measurement(
      values,
      chosen: [
        "samples": .number(Double(noise.samples)), "score": .text(quantity.rawValue),
        "normalize": .text(isNormalized ? "yes" : "no"),
      ])
  }

  private static func error(
    _ products: ArraySlice<Double>, _ falls: ArraySlice<Double>, _ isNormalized: Bool
  ) -> Double {
    var factor = 1.0
    if isNormalized {
      let squares = products.reduce(0) { $0 + $1 * $1 }
      factor = squares > 0 ? zip(products, falls).reduce(0) { $0 + $1.0 * $1.1 } / squares : 0
    }
    let sum = zip(products, falls).reduce(0) { sum, pair in
      let error = factor * pair.0 - pair.1
      return sum + error * error
    }
    return sum / Double(max(1, products.count))
  }
}

/// The attribution of every value that the model is fed.
private struct Attributions {
  private let maps: Maps
  private let ranges: [Float]?
  private let isScouter: Bool
  private let request: MeasurementRequest

  init(_ request: MeasurementRequest, _ isScouter: Bool) throws {
    maps = try request.maps()
    ranges = try request.ranges()
    self.isScouter = isScouter
    self.request = request
  }

  func values(for subject: Subject) throws -> [Float] {
    let map = maps[subject.index]
    guard isScouter else {
      return try map.resized(height: subject.height, width: subject.width).spread(over: subject.channels)
    }
    let bytes = try Map.enlarged(
      map.bytes(range: request.range(of: subject.index, ranges)), height: map.height, width: map.width,
      to: (subject.height, subject.width))
    return (0..<subject.channels).flatMap { _ in bytes.map { Float($0) } }
  }
}
