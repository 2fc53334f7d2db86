import Explainers
public import Explanations
import Graph
import Images
import Metrics
import Models
import Parallel
import Reports
import Tensors

/// Pixels of the longer side of images on a page.
let longestSide = 480

extension MethodUse {
  var described: Report.Method {
    var used = ((try? settings.values) ?? []).map { ($0.name, "\($0.value)") }
    if !call.layers.isEmpty { used.append(("layers", call.layers.joined(separator: ", "))) }
    if method.drawsNumbers { used.append(("seed", "\(call.seed ?? 0)")) }
    if !call.draws.isEmpty { used.append(("draws", call.draws.keys.sorted().joined(separator: ", "))) }
    let control: String? =
      switch method.name {
      case "random-map": "a random map"
      case "center-gaussian": "a centred Gaussian"
      default: nil
      }
    return Report.Method(name: name, summary: method.summary, settings: used, control: control)
  }
}

extension Model {
  /// What a page calls it where nobody says from which file it came.
  var title: String { fileGraph.name.isEmpty ? "a model" : fileGraph.name }

  /// What a page says of the model and of how it was called; `file` is what it was loaded from.
  func facts(_ file: String, output: String?) -> [(name: String, value: String)] {
    var facts = [("model", file)]
    if !metadata.family.isEmpty { facts.append(("family", metadata.family)) }
    if let head = try? requiredScores(output) { facts.append(("scores", "\(head.name), \(head.kind.rawValue)")) }
    if let count = classCount { facts.append(("classes", "\(count)")) }
    facts.append(("preprocessing", metadata.preprocessing?.description ?? "none"))
    facts.append(("limpid", libraryVersion))
    return facts
  }

  /// The five most probable classes, and those that were explained.
  func predictions(_ values: [Float], _ head: ScoreHead, explained: [Int]) -> [Report.Prediction] {
    let best = Scores.best(5, of: values)
    let others = Set(explained).subtracting(best).filter(values.indices.contains)
    let shown = best + others.sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }.prefix(7)
    return shown.map { index in
      Report.Prediction(
        label: displayName(of: index), value: Double(values[index]), isProbability: head.kind != .values)
    }
  }
}

extension Explanation {
  /// What is to be said of the map beside its score.
  public var note: String {
    guard let reading else {
      return !isFinite
        ? "degenerate: the map holds NaN or infinity" : isDegenerate ? "degenerate: the map is constant" : ""
    }
    let words = reading.words.map { "\($0.text) \(fixed(Double($0.similarity), 3))" }.joined(separator: ", ")
    return "filter \(reading.filter): " + (words.isEmpty ? "inactive" : words)
  }
}

extension Report.Map {
  /// `explanation`, drawn over its image.
  init(
    _ explanation: Explanation, _ model: Model, over image: PixelView, _ rendering: Rendering, _ progress: Progress
  ) throws {
    let parts = progress.parts(1, 1)
    let drawn = try explanation.legible(over: image, rendering, longest: longestSide, parts[0])
    let subject =
      explanation.reading.map { "filter \($0.filter)" }
      ?? (explanation.classIndex < 0 ? "the whole image" : model.displayName(of: explanation.classIndex))
    self.init(
      method: explanation.method, subject: subject, score: Double(explanation.score),
      image: try InlineImage(drawn, longest: longestSide, parts[1]), note: explanation.note)
  }
}

extension Report.ColorScale {
  init(_ rendering: Rendering) {
    let colors = rendering.colormap ?? rendering.style.colormap
    self.init(name: colors.name, entries: colors.entries)
  }
}
