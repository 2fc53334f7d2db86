import Explanations
import Models
import Parallel
import Tensors

/// Occlusion (Zeiler & Fergus, ECCV 2014), as Captum does it: a window of other values slides over the image; a value's
/// attribution is the mean of s(x) − s(x with the window covered) over the windows that cover it.
///
/// The last window of an axis is cut off at the border. `details["attribution"]` has every colour, the grid their sum.
/// Only what a window reaches is computed again, where that saves enough (`RegionalPlan`).
struct Occlusion: Explainer {
  let name = "occlusion"
  let summary = "What the score loses when a sliding window of the image is covered."
  let draws = [Draw("baseline", "float32 [channels, height, width], what windows show; else `value`, or `baseline`.")]
  let drawsNumbers = true
  let parameters =
    SlidingWindows.parameters + [
      Parameter(
        "value", default: 0.0, in: -1e6...1e6, "What windows show, as the model is fed, where `baseline` is zero."
      ).read(with: "baseline", ["zero"]).read(withoutDraws: "baseline"),
      Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"),
      Baseline.parameter.read(withoutDraws: "baseline"),
      Parameter("compat", choices: ["none", "captum"], default: "none", Compat.summary),
    ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let scoring = try Scoring(request, "of", else: .logit)
    return try request.explainEach(.captum) { subject, progress in
      let windows = try SlidingWindows(request, subject)
      let filling = try Self.filling(request, subject)
      let size = subject.shape.count
      // Sums and maps of each class.
      try requireMemory(8 * (size + subject.pixels), of: subject.classes.count)
      var sums = subject.classes.map { _ in [Double](repeating: 0, count: size) }
      var counts = [Int32](repeating: 0, count: size)
      let whole = scoring(subject.logits)
      let logits = try request.requiredScores().logits
      try request.forEachForm(of: subject, regions: windows.regions, fetch: logits, progress) { i, target in
        target.update(from: subject.start, count: size)
        windows.forEachValue(of: i) { target[$0] = filling[$0] }
      } _: { items, tensor in
        let rows = try LogitRows(tensor, count: items.count)
        for (row, i) in items.enumerated() {
          let scores = scoring(rows[row])
          windows.forEachValue(of: i) { counts[$0] += 1 }
          for (c, index) in subject.classes.enumerated() {
            let drop = Double(whole[index]) - Double(scores[index])
            windows.forEachValue(of: i) { sums[c][$0] += drop }
          }
        }
      }
      return try sums.map { sums in
        let values = zip(sums, counts).map { Float($0 / Double(max(1, $1))) }
        return [try .attribution(values, subject)]
      }
    }
  }

  static func filling(_ request: ExplanationRequest, _ subject: Subject) throws -> [Float] {
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
    let grid = Heatmap(sum, width: subject.width, height: subject.height)
    return DrawnMap(
      grid: grid, range: Attribution.range(of: grid),
      details: [("attribution", try Tensor(values, subject.shape))])
  }
}
