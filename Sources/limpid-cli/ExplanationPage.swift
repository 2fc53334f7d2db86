import CLimpid
import Engine
import Evaluation
import Explainers
import Explanations
import Images
import Kernels
import Models
import Parallel
import Reports
import Tensors

/// Gathers what was explained into a page: `--report`.
struct ExplanationPage {
  /// Beyond these, maps are counted, not shown: a page of a thousand classes opens nowhere.
  private static let mostMaps = 240
  /// In the sentence under the title.
  private static let mostAnswers = 6
  /// Pixels, of images and maps.
  private static let longestSide = 480

  private let model: Model
  private let file: String
  private let overlay: Overlay
  private var report = Report(title: "")
  private var shown = 0
  private var left = 0

  init(_ model: Model, _ file: String, _ uses: [MethodUse], _ call: Call, _ overlay: Overlay) {
    self.model = model
    self.file = file
    self.overlay = overlay
    report.methods = uses.map { use in
      var settings = use.method.parameters.map { parameter in
        (parameter.name, "\(use.call.parameters[parameter.name] ?? parameter.defaultValue)")
      }
      if !use.call.layers.isEmpty { settings.append(("layers", use.call.layers.joined(separator: ", "))) }
      if use.method.drawsNumbers { settings.append(("seed", "\(use.call.seed ?? 0)")) }
      return Report.Method(name: use.name, summary: use.method.summary, settings: settings)
    }
    report.colors = Report.ColorScale(name: overlay.colors.name, entries: overlay.colors.entries)
    report.settings = model.facts(file, call)
  }

  var isEmpty: Bool { report.cases.isEmpty && left == 0 }

  mutating func add(
    _ path: String, _ image: Image, _ predictions: [Report.Prediction], _ explanations: [Explanation]
  ) throws {
    let kept = explanations.prefix(Self.mostMaps - shown)
    left += explanations.count - kept.count
    shown += kept.count
    guard !kept.isEmpty else { return }
    var order: [Int: Int] = [:]
    for explanation in kept where order[explanation.classIndex] == nil { order[explanation.classIndex] = order.count }
    // Classes in the order in which they were first explained; of each, the methods in theirs.
    let sorted = kept.enumerated().sorted { a, b in
      let (first, second) = (order[a.element.classIndex] ?? 0, order[b.element.classIndex] ?? 0)
      return first != second ? first < second : a.offset < b.offset
    }.map(\.element)
    let maps = try sorted.map { explanation in
      let drawn = try overlay.draw(explanation, on: image, longest: Self.longestSide)
      return Report.Map(
        method: explanation.method, subject: model.subject(of: explanation), score: Double(explanation.score),
        image: try InlineImage(drawn, longest: Self.longestSide), note: explanation.note)
    }
    let small = try InlineImage(overlay.plain(image), longest: Self.longestSide)
    report.cases.append(Report.Case(name: path, image: small, predictions: predictions, maps: maps))
  }

  mutating func unread(_ path: String, _ failure: Failure) {
    report.unread.append(Report.Unread(name: path, reason: failure.message))
  }

  /// The page, which says that `command` makes it.
  func html(_ command: String) -> String {
    var report = report
    let name = String(lastComponent(file))
    let methods = report.methods.map(\.name).joined(separator: ", ")
    let by = report.methods.count == 1 ? "the method \(methods)" : "\(report.methods.count) methods: \(methods)"
    let images = report.cases.map { String(lastComponent($0.name)) }
    report.title = images.count == 1 ? "\(images[0]), explained" : "\(images.count) images, explained"
    let answers = zip(images, report.cases).compactMap { image, found in
      found.predictions.first.flatMap { $0.isProbability ? "\($0.label) (\(percent($0.value))) in \(image)" : nil }
    }
    if (1...Self.mostAnswers).contains(answers.count) {
      report.summary.append("\(name) sees \(answers.joined(separator: "; ")).")
    }
    report.summary.append("The maps show what its answers rest on, by \(by).")
    if left > 0 { report.casesNote = "Shown are the first \(shown) of \(shown + left) maps." }
    report.command = command
    return report.html
  }
}

/// What a model says to one image, asked for at most once.
final class Seen {
  private let image: Image
  private let model: Model
  private let call: Call
  private let progress: Progress
  private var known: [Float]?

  init(_ image: Image, _ model: Model, _ call: Call, _ progress: Progress) {
    (self.image, self.model, self.call, self.progress) = (image, model, call, progress)
  }

  func probabilities() throws -> [Float] {
    if let known { return known }
    let found = try model.probabilities(image, call, progress)
    known = found
    return found
  }

  /// The five most probable classes and those that were explained; none where the model has no scores.
  func predictions(_ explained: [Int]) throws -> [Report.Prediction] {
    guard let head = try? model.requiredScores(call.output) else { return [] }
    let values = try probabilities()
    let best = Classify.best(5, of: values)
    let others = Set(explained).subtracting(best).filter(values.indices.contains)
    let shown = best + others.sorted { values[$0] > values[$1] }.prefix(7)
    return shown.map { index in
      Report.Prediction(
        label: model.displayName(of: index), value: Double(values[index]), isProbability: head.kind != .values)
    }
  }
}

extension Model {
  /// "Egyptian cat", or "class 285".
  func displayName(of index: Int) -> String { label(of: index).flatMap { $0.isEmpty ? nil : $0 } ?? "class \(index)" }

  fileprivate func subject(of explanation: Explanation) -> String {
    if let reading = explanation.reading { return "filter \(reading.filter)" }
    return explanation.classIndex < 0 ? "the whole image" : displayName(of: explanation.classIndex)
  }

  /// What a page says of the model and of how it was called.
  func facts(_ file: String, _ call: Call) -> [(name: String, value: String)] {
    var facts = [("model", file)]
    if metadata.family != "" { facts.append(("family", metadata.family)) }
    if let head = try? requiredScores(call.output) { facts.append(("scores", "\(head.name), \(head.kind.rawValue)")) }
    if let count = classCount { facts.append(("classes", "\(count)")) }
    facts.append(("preprocessing", metadata.preprocessing?.description ?? "none"))
    facts.append(("kernels", engine.kernels.variant.rawValue))
    facts.append(("limpid", "\(LIMPID_VERSION_MAJOR).\(LIMPID_VERSION_MINOR).\(LIMPID_VERSION_PATCH)"))
    return facts
  }
}
