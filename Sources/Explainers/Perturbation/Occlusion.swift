import Explanations
import Models
import Parallel
import Tensors

/// Occlusion (Zeiler & Fergus, ECCV 2014), as Captum does it: a window of other values slides over the image; a value's
/// attribution is the mean of s(x) − s(x with the window covered) over the windows that cover it.
///
/// The last window of an axis is cut off at the border. `details["attribution"]` has every colour, the grid their sum.
struct Occlusion: Explainer {
  let name = "occlusion"
  let summary = "What the score loses when a sliding window of the image is covered."
  let draws = [Draw("baseline", "float32 [channels, height, width], what windows show; else `value`, or `baseline`.")]
  let drawsNumbers = true
  let parameters = [
    Parameter("window_height", default: 0, in: 0...100_000, "In pixels of the model's input; 0: a seventh of it."),
    Parameter("window_width", default: 0, in: 0...100_000, "In pixels of the model's input; 0: a seventh of it."),
    Parameter("window_channels", default: 0, in: 0...100_000, "Colours that are covered together; 0: all."),
    Parameter("stride_y", default: 0, in: 0...100_000, "Not above the window's height; 0: half of it."),
    Parameter("stride_x", default: 0, in: 0...100_000, "Not above the window's width; 0: half of it."),
    Parameter("stride_channels", default: 0, in: 0...100_000, "Not above the window's channels; 0: those."),
    Parameter(
      "value", default: 0.0, in: -1e6...1e6, "What windows show, as the model is fed, where `baseline` is zero."),
    Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"),
    Baseline.parameter,
    Parameter("compat", choices: ["none", "captum"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let scoring = try Scoring(request, "of", else: .logit)
    return try request.explainEach(.captum) { subject, progress in
      let windows = try Windows(request, subject)
      let filling = try Self.filling(request, subject)
      let size = subject.shape.count
      var sums = subject.classes.map { _ in [Double](repeating: 0, count: size) }
      var counts = [Int32](repeating: 0, count: size)
      let whole = scoring(subject.logits)
      try request.forEachVariant(of: subject, count: windows.count, progress) { i, target in
        target.update(from: subject.start, count: size)
        windows.forEachValue(of: i) { target[$0] = filling[$0] }
      } _: { i, logits in
        let scores = scoring(logits)
        windows.forEachValue(of: i) { counts[$0] += 1 }
        for (c, index) in subject.classes.enumerated() {
          let drop = Double(whole[index]) - Double(scores[index])
          windows.forEachValue(of: i) { sums[c][$0] += drop }
        }
      }
      return try sums.map { sums in
        let values = zip(sums, counts).map { Float($0 / Double(max(1, $1))) }
        return [try .attribution(values, subject)]
      }
    }
  }

  private static func filling(_ request: ExplanationRequest, _ subject: Subject) throws -> [Float] {
    let dimensions = subject.shape.dimensions
    let isBatch = request.call.draws["baseline"]?.shape.rank == 4
    if let given = try request.draw("baseline", isBatch ? [1] + dimensions : dimensions) {
      return given.array(of: Float.self)
    }
    let baseline: Baseline = try request.settings.choice("baseline")
    return try baseline.values(of: subject, request)
      ?? [Float](repeating: Float(request.settings.number("value")), count: subject.shape.count)
  }
}

extension DrawnMap {
  /// Of attributions of every colour, [channels, height, width]: the map is their sum over the colours.
  static func attribution(_ values: [Float], _ subject: Subject) throws -> DrawnMap {
    var sum = [Float](repeating: 0, count: subject.pixels)
    for c in 0..<subject.channels { for p in sum.indices { sum[p] += values[c * subject.pixels + p] } }
    return DrawnMap(
      grid: Heatmap(sum, width: subject.width, height: subject.height),
      details: [("attribution", try Tensor(values, subject.shape))])
  }
}

/// The places of a window that slides along channels, rows and columns.
private struct Windows {
  private let places: [[Range<Int>]]
  private let shape: Shape

  init(_ request: ExplanationRequest, _ subject: Subject) throws {
    shape = subject.shape
    let names = [("window_channels", "stride_channels"), ("window_height", "stride_y"), ("window_width", "stride_x")]
    let extents = subject.shape.dimensions
    var places: [[Range<Int>]] = []
    for (axis, (window, stride)) in names.enumerated() {
      let asked = try request.settings.integer(window)
      let length = min(extents[axis], asked > 0 ? asked : axis == 0 ? extents[0] : max(1, (extents[axis] + 3) / 7))
      let step = try request.settings.integer(stride)
      guard step <= length else {
        throw Failure(
          .invalidArgument, "the parameter \(quoted(stride)) is \(step), above the window's \(length): values between "
            + "the windows would get no attribution")
      }
      let distance = step > 0 ? step : axis == 0 ? length : (length + 1) / 2
      let count = (extents[axis] - length + distance - 1) / distance + 1
      places.append((0..<count).map { $0 * distance..<min($0 * distance + length, extents[axis]) })
    }
    self.places = places
  }

  var count: Int { places.reduce(1) { $0 * $1.count } }

  /// Calls `body` with the place of every value that window `i` covers.
  func forEachValue(of i: Int, _ body: (Int) -> Void) {
    let columns = places[2][i % places[2].count]
    let rest = i / places[2].count
    for c in places[0][rest / places[1].count] {
      for y in places[1][rest % places[1].count] {
        for x in columns { body((c * shape[1] + y) * shape[2] + x) }
      }
    }
  }
}
