import Explainers
import Explanations
import Models
import Tensors

/// What the class's score makes of the image that is multiplied by its map: average drop, increase in confidence
/// (Chattopadhay et al., WACV 2018, "Grad-CAM++", section 5.1), average gain (Zhang et al., "Opti-CAM", 2024).
///
/// With s the score of the image, s′ that of the masked one: drop max(s − s′, 0) / s, increase [s′ > s], gain max(s′ −
/// s, 0) / (1 − s), in percent. The map is enlarged bilinearly (half-pixel centres) and multiplies what the model is
/// fed, so that masked means the mean colour. `keep` first leaves the largest values of the map only.
///
/// `compat`: "grad-cam" gives raw differences of the score, and 0 or 1 for the increase; "torchcam" adds 1e-7 to what
/// is divided by; "ca-stream" masks the image in its colours before
/// normalisation, and its mean is that of means over batches; "tame" has its own rule for `keep`, and divides by 0.
struct AverageDrop: Metric {
  enum Kind { case drop, increase, gain }

  enum Compat: String, CaseIterable {
    case none, tame, torchcam
    case caStream = "ca-stream"
    case gradCAM = "grad-cam"
  }

  let name: String
  let summary: String
  let kind: Kind
  var better: Direction { kind == .drop ? .less : .more }

  static let drop = AverageDrop(
    name: "average-drop",
    summary: "By how many percent the class's score falls where the map masks the image; less is better.", kind: .drop)
  static let increase = AverageDrop(
    name: "increase",
    summary: "Percent of images whose class scores higher where the map masks them; more is better.", kind: .increase)
  static let gain = AverageDrop(
    name: "average-gain",
    summary: "By how many percent of what is left to 1 the class's score rises where the map masks the image; more is "
      + "better.", kind: .gain)

  let parameters = [
    Parameter(
      "keep", default: 1.0, in: 0.000_001...1,
      "Share of the image's pixels, those of the largest values, that the map keeps."),
    Score.parameter("of", else: "the probability, with compat grad-cam the logit"),
    Parameter(
      "batch", default: 0, in: 0...1_000_000,
      "With compat ca-stream: images whose mean is averaged; 0: the call's batch size, else that program's 64."
    ).read(with: "compat", ["ca-stream"]),
    Parameter("compat", default: Compat.none, Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let settings = request.settings
    let compat: Compat = try settings.choice("compat")
    let quantity = try Score.quantity(settings, "of", else: compat == .gradCAM ? .logit : .probability)
    let maps = try request.maps()
    let keep = KeepLargest(try settings.number("keep"), asTAME: compat == .tame)
    let model = try request.model()
    let (clean, masked) = try request.compare(quantity) { subject in
      let map = try keep(maps[subject.index].resized(height: subject.height, width: subject.width))
      let mask = try map.spread(over: subject.channels)
      let colors = compat == .caStream ? try Normalization.caStream(model, channels: subject.channels) : nil
      return { _, target in
        withExtendedLifetime(subject.input) {
          for i in 0..<subject.count { target[i] = subject.start[i] * mask[i] }
          guard let colors else { return }
          for i in 0..<subject.count {
            let (mean, std) = (colors.mean[i / subject.pixels], colors.std[i / subject.pixels])
            target[i] = ((subject.start[i] * std + mean) * mask[i] - mean) / std
          }
        }
      }
    }
    let values = zip(clean, masked).map { value($0, $1, compat) }
    let shape = try Shape(checking: [request.count])
    return Measurement(
      values, mean: try mean(of: values, classes: request.classes, settings, batchSize: request.call.batchSize),
      mapDetails: [("original", try Tensor(clean, shape)), ("masked", try Tensor(masked, shape))],
      chosen: ["of": .text(quantity.rawValue)])
  }

  private func value(_ s: Double, _ masked: Double, _ compat: Compat) -> Double {
    if s.isNaN || masked.isNaN { return .nan }
    let fall = max(s - masked, 0)
    let rise = max(masked - s, 0)
    if compat == .gradCAM { return kind == .drop ? fall : kind == .gain ? rise : masked > s ? 1 : 0 }
    let epsilon = compat == .torchcam ? 1e-7 : compat == .caStream ? Double.ulpOfOne : 0
    // A share of nothing is nothing, but for TAME, which divides.
    func share(_ change: Double, of whole: Double) -> Double {
      change == 0 && whole + epsilon == 0 && compat != .tame ? 0 : 100 * change / (whole + epsilon)
    }
    switch kind {
    case .drop: return share(fall, of: s)
    case .increase: return masked > s ? 100 : 0
    case .gain: return share(rise, of: 1 - s)
    }
  }

  func mean(of values: [Double], classes: [Int?], _ settings: Settings, batchSize: Int) throws -> Double {
    let compat: Compat = try settings.choice("compat")
    if compat == .tame { return values.reduce(0, +) / Double(values.count) }
    guard compat == .caStream else { return Measurement.mean(of: values) }
    let asked = try settings.integer("batch")
    let size = asked > 0 ? asked : batchSize > 0 ? batchSize : 64
    let means = stride(from: 0, to: values.count, by: size).map { start in
      Measurement.mean(of: Array(values[start..<min(start + size, values.count)]))
    }
    return means.reduce(0, +) / Double(means.count)
  }
}

/// Leaves the largest values of a map, and sets the others to 0.
struct KeepLargest {
  private let keep: Double
  private let asTAME: Bool

  init(_ keep: Double, asTAME: Bool) { (self.keep, self.asTAME) = (keep, asTAME) }

  func callAsFunction(_ map: Map) throws -> Map {
    guard keep < 1 else { return map }
    guard map.channels == 1 else {
      throw Failure(.invalidArgument, "\"keep\" is for maps of one value a pixel, not for \(map.channels) channels")
    }
    var map = map
    if asTAME {
      try dropAsTAME(&map.values)
    } else {
      let order = Ranking.stableLast.order(of: map.values)
      for position in order.dropFirst(Int((keep * Double(order.count)).rounded(.up))) { map.values[position] = 0 }
    }
    return map
  }

  /// TAME's rule: below the k-th smallest value nothing stays; of what is then above 0 and too
  /// much, the first pixels that have just that value go. With its arithmetic: the share dropped is 1 − keep, the share
  /// kept 1 minus that, rounded up.
  private func dropAsTAME(_ values: inout [Float]) throws {
    let dropped = 1 - keep
    let count = Double(values.count)
    let k = Int(count * dropped)
    guard k > 0 else {
      throw Failure(
        .invalidArgument,
        "keep is \(keep) of \(values.count) pixels: with compat \"tame\" that drops none, which its "
          + "program refuses")
    }
    let threshold = values.sorted { $0.isNaN ? false : $1.isNaN || $0 < $1 }[k - 1]
    for i in values.indices where values[i] < threshold { values[i] = 0 }
    var excess = values.count { $0 > 0 } - Int(((1 - dropped) * count).rounded(.up))
    for i in values.indices where excess > 0 && values[i] == threshold {
      values[i] = 0
      excess -= 1
    }
  }
}
