import Explanations
import Models
import Parallel
import Tensors

/// SS-CAM (Wang et al., 2020): Score-CAM with each score a mean over noisy masks x ⊙ (M_k + δ).
///
/// By itself δ is drawn for every channel and colour, and weights are the softmax over the channels of the mean logit.
/// `torchcam` has one draw for all colours; `scouter` one for all channels, and plain probabilities as weights.
struct SSCAM: Explainer {
  let name = "ss-cam"
  let summary = "Score-CAM with noise added to the masks, averaged."
  let tapsLayers = true
  let drawsNumbers = true
  let draws = [
    Draw(
      "noise",
      "float32 [samples, channels, colours, height, width], what is added to the masks (`std` in it already); "
        + "for `compat=torchcam` [samples, channels, height, width], for `scouter` [samples, colours, height, width].")
  ]
  let parameters = [
    Parameter("samples", default: 35, in: 1...100_000, "Noisy masks of each channel."),
    Parameter("std", default: 2.0, in: 0...1000, "Standard deviation of the noise, where masks are 0 to 1."),
    Parameter(
      "channels", default: 0, in: 0...1_000_000, "Run only so many channels, those of the largest range; 0: all."),
    Parameter("compat", choices: ["none", "scouter", "torchcam"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasFeatureLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let isScouter = compat == .scouter
    let scoring = Scoring(head: try request.requiredScores(), quantity: isScouter ? .probability : .logit)
    return try request.explainChannels(compat, isScouter ? .spreadExactly : .spreadFirst) { subject, masks, progress in
      let noise = try MaskNoise(request, subject, channels: masks.maps.channels, compat)
      let channels = masks.channels(try request.settings.integer("channels")).filter { !isScouter || !masks.isFlat($0) }
      let scores = try request.channelScores(
        subject, channels, samples: noise.samples, scoring, progress
      ) { channel, sample, target in
        let mask = masks(channel)
        for colour in 0..<subject.channels {
          for p in 0..<subject.pixels {
            let added = noise.value(sample, channel, colour, p)
            target[colour * subject.pixels + p] = subject.start[colour * subject.pixels + p] * (mask[p] + added)
          }
        }
      }
      return try scores.map { scores in
        let weights = isScouter ? scores.map { Float($0) } : ChannelSum.softmax(scores)
        let grid =
          isScouter
          ? ChannelSum.ofSpread(masks, channels, weights) : ChannelSum.rectified(masks.maps, channels, weights)
        return DrawnMap(grid: grid, details: [try ChannelSum.detail(masks, channels, weights)])
      }
    }
  }
}

/// What SS-CAM adds to its masks: fed, or drawn where it is needed.
private struct MaskNoise {
  let samples: Int
  private let fed: [Float]?
  private let random: RandomNumbers
  private let std: Float
  private let pixels: Int
  /// How many draws a sample has for channels, and a channel for colours; 1: all share one.
  private let channels: Int
  private let colours: Int

  init(_ request: ExplanationRequest, _ subject: Subject, channels: Int, _ compat: Compat) throws {
    self.channels = compat == .scouter ? 1 : channels
    colours = compat == .torchcam ? 1 : subject.channels
    pixels = subject.pixels
    let (height, width) = (subject.height, subject.width)
    let shape: [Int?]
    switch compat {
    case .scouter:
      let isNested = request.call.draws["noise"]?.shape.rank == 5
      shape = isNested ? [nil, 1, colours, height, width] : [nil, colours, height, width]
    case .torchcam: shape = [nil, channels, height, width]
    default: shape = [nil, channels, colours, height, width]
    }
    let given = try request.draw("noise", shape)
    fed = given?.array(of: Float.self)
    samples = try request.settings.count("samples", fed: given?.shape[0])
    guard samples > 0 else { throw Failure(.invalidArgument, "the draws \"noise\" hold no samples") }
    random = RandomNumbers(seed: request.seed, .masks)
    std = Float(try request.settings.number("std"))
  }

  func value(_ sample: Int, _ channel: Int, _ colour: Int, _ pixel: Int) -> Float {
    let place = (sample * channels + min(channel, channels - 1)) * colours + min(colour, colours - 1)
    let i = place * pixels + pixel
    return fed.map { $0[i] } ?? std * random.normal(i)
  }
}

/// IS-CAM (Naidu et al., 2020): Score-CAM with each score a mean along the path from nothing to the masked image,
/// x ⊙ M_k·t, t = i/samples.
///
/// `torchcam` adds the steps up, so that its i-th is Σ_{j ≤ i} j/samples and the last far beyond the image.
struct ISCAM: Explainer {
  let name = "is-cam"
  let summary = "Score-CAM with the score integrated while the masked image fades in."
  let tapsLayers = true
  let parameters = [
    Parameter("samples", default: 10, in: 1...100_000, "Steps of the path, for each channel."),
    Parameter(
      "channels", default: 0, in: 0...1_000_000, "Run only so many channels, those of the largest range; 0: all."),
    Parameter("compat", choices: ["none", "torchcam"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasFeatureLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let scoring = Scoring(head: try request.requiredScores(), quantity: .logit)
    let samples = try request.settings.integer("samples")
    var factors = (0..<samples).map { Float($0 + 1) / Float(samples) }
    if compat == .torchcam { for i in factors.indices.dropFirst() { factors[i] += factors[i - 1] } }
    return try request.explainChannels(compat, .spreadFirst) { subject, masks, progress in
      let channels = masks.channels(try request.settings.integer("channels"))
      let distinct = masks.distinct(channels)
      let scores = try request.channelScores(
        subject, distinct.channels, samples: samples, scoring, progress
      ) { channel, sample, target in
        subject.write(mask: masks(channel).map { $0 * factors[sample] }, over: nil, into: target)
      }.map(distinct.spread)
      return try scores.map { scores in
        let weights = ChannelSum.softmax(scores)
        return DrawnMap(
          grid: ChannelSum.rectified(masks.maps, channels, weights),
          details: [try ChannelSum.detail(masks, channels, weights)])
      }
    }
  }
}
