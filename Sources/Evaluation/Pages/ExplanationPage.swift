import Documents
import Explainers
public import Explanations
public import Images
public import Models
public import Parallel
import Reports
public import Tensors

/// Gathers explanations of images into a page.
public struct ExplanationPage {
  /// Beyond these, maps are counted, not shown: a page of a thousand classes opens nowhere.
  private static let mostMaps = 240
  /// In the sentence under the title.
  private static let mostAnswers = 6

  private let model: Model
  private let name: String
  private let output: String?
  private let rendering: Rendering
  private var report = Report(title: "")
  private var shown = 0
  private var left = 0

  /// - Parameters:
  ///   - file: what the model was loaded from; nil: not known
  ///   - uses: the methods; `name(of:)` adds others
  ///   - output: the one that holds the scores, where the caller chose
  ///   - rendering: how maps are drawn; sizes in it are overwritten
  public init(
    _ model: Model, file: String? = nil, _ uses: [MethodUse], output: String?, _ rendering: Rendering
  ) {
    self.model = model
    name = file.map(lastComponent) ?? model.title
    self.output = output
    self.rendering = rendering
    report.methods = uses.map(\.described)
    report.colors = Report.ColorScale(rendering)
    report.settings = model.facts(file ?? model.title, output: output)
  }

  /// What the page calls the method of an explanation: its name, or "rise@2" where "rise" was used with other settings.
  public mutating func name(of explanation: Explanation) -> String {
    var used = explanation.parameters.map { ($0.name, "\($0.value)") }
    if let seed = explanation.seed { used.append(("seed", "\(seed)")) }
    let uses = report.methods.filter { MethodUse.base(of: $0.name) == explanation.method }
    if let known = uses.first(where: { $0.settings.map(\.value) == used.map(\.1) }) { return known.name }
    let name = uses.isEmpty ? explanation.method : "\(explanation.method)@\(uses.count + 1)"
    let method = (Explainers.all + Explainers.controls).first { $0.name == explanation.method }
    report.methods.append(Report.Method(name: name, summary: method?.summary ?? "", settings: used))
    return name
  }

  public var isEmpty: Bool { report.cases.isEmpty && left == 0 }

  /// Adds an image with its explanations, each named after the use of its method.
  ///
  /// - Parameter scores: the probability of every class; asked for where the model has scores
  public mutating func add(
    _ path: String, _ image: Image, _ explanations: [Explanation], _ progress: Progress, scores: () throws -> [Float]
  ) throws {
    let kept = explanations.prefix(Self.mostMaps - shown)
    left += explanations.count - kept.count
    shown += kept.count
    guard !kept.isEmpty else { return }
    var order: [Int: Int] = [:]
    for explanation in kept where order[explanation.classIndex] == nil {
      order[explanation.classIndex] = order.count
    }
    // Classes in the order in which they were first explained; of each, the methods in theirs.
    let sorted = kept.enumerated().sorted { a, b in
      let (first, second) = (order[a.element.classIndex] ?? 0, order[b.element.classIndex] ?? 0)
      return first != second ? first < second : a.offset < b.offset
    }.map(\.element)
    let maps = try image.withView { view in
      try sorted.enumerated().map { i, explanation in
        try Report.Map(explanation, model, over: view, rendering, progress.range(i..<i + 1, of: sorted.count + 1))
      }
    }
    var predictions: [Report.Prediction] = []
    if let head = try? model.requiredScores(output) {
      predictions = model.predictions(try scores(), head, explained: Array(order.keys))
    }
    report.cases.append(
      Report.Case(
        name: path, image: try InlineImage(image.legible(progress.polling), longest: longestSide, progress.polling),
        predictions: predictions, maps: maps))
  }

  public mutating func addUnread(_ path: String, _ failure: Failure) {
    report.unread.append(Report.Unread(name: path, reason: failure.message))
  }

  /// The page, which says that `command` makes it.
  public func html(_ command: String?) -> String {
    var report = report
    let methods = report.methods.map(\.name).joined(separator: ", ")
    let by = report.methods.count == 1 ? "the method \(methods)" : "\(report.methods.count) methods: \(methods)"
    let images = report.cases.map { lastComponent($0.name) }
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
