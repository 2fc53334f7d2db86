import Documents
import Explainers
import Explanations
import Graph
import Images
import Metrics
import Models
public import Parallel
import Reports
import Tensors

extension Evaluation {
  /// Where an evaluation comes from, as far as its page tells.
  public struct Source: Sendable {
    /// What the model was loaded from.
    public var file: String?
    /// The command line that did it.
    public var command: String?

    public init(file: String? = nil, command: String? = nil) { (self.file, self.command) = (file, command) }
  }

  /// The results as one page of HTML, with the maps of some images, which are explained again for it. Where `progress`
  /// cancels that, the page has the images until then.
  public func page(_ summary: Summary, _ source: Source, _ progress: Progress) throws -> String {
    let title = source.file.map(lastComponent) ?? model.title
    var report = Report(title: "\(title), evaluated")
    report.summary = sentences(summary, title)
    report.methods = plan.methods.map(\.described)
    report.metrics = metrics(summary)
    report.confidence = summary.options.confidence
    report.results = summary.results.compactMap { result in
      result.method.map { Report.Result(method: $0, metric: result.metric, estimate: .init(result.estimate)) }
    }
    report.comparisons = summary.comparisons.map { found in
      Report.Comparison(
        metric: found.metric, method: found.method, other: found.other, difference: .init(found.difference),
        wins: found.wins)
    }
    report.controlHint = "give the methods random-map and center-gaussian beside the others."
    report.charts = charts(summary)
    report.accuracy =
      summary.accuracy.map { top, estimate in
        (top == 1 ? "right" : "right among the first \(top)", Report.Estimate(estimate))
      }
      + summary.results.compactMap { result in
        result.method == nil ? ("\(result.metric)", Report.Estimate(result.estimate)) : nil
      }
    report.confusion = summary.confusion.map { entry in
      Report.Confusion(
        truth: model.displayName(of: entry.truth), predicted: model.displayName(of: entry.predicted), count: entry.count
      )
    }
    report.unread = summary.failures.map { Report.Unread(name: $0.name, reason: $0.reason) }
    report.settings = facts(summary, source.file ?? title)
    report.command = source.command
    try addCases(to: &report, progress)
    return report.html
  }

  private func sentences(_ summary: Summary, _ title: String) -> [String] {
    let images = summary.evaluatedCount == 1 ? "1 image" : "\(summary.evaluatedCount) images"
    let place = data.path.map { " of \(lastComponent($0))" } ?? ""
    let methods = plan.methods.count { $0.described.control == nil }
    var sentences = [
      methods == 0
        ? "What \(title) makes of \(images)\(place)."
        : "How well \(methods == 1 ? "1 method explains" : "\(methods) methods explain") what \(title) sees, on "
          + "\(images)\(place)."
    ]
    if let (_, right) = summary.accuracy.first(where: { $0.top == 1 }) {
      sentences.append("The model is right on \(percent(right.mean)) of the images.")
    }
    if !summary.isComplete {
      sentences.append(
        "Not complete: \(summary.evaluatedCount + summary.failures.count) of \(summary.sampleCount) images are done.")
    }
    return sentences
  }

  private func metrics(_ summary: Summary) -> [Report.Metric] {
    plan.explanationMetrics.map { use in
      let chosen = summary.results.first { $0.metric == use.name && $0.method != nil }?.chosen ?? []
      let used = ((try? use.settings.values) ?? []).map { name, value in
        (name, "\(chosen.first { $0.name == name }?.value ?? value)")
      }
      let direction: Report.Direction =
        switch use.better {
        case .more: .higher
        case .less: .lower
        case .neither: .neither
        }
      return Report.Metric(name: use.name, summary: use.metric.summary, direction: direction, settings: used)
    }
  }

  private func charts(_ summary: Summary) -> [Report.Chart] {
    plan.explanationMetrics.compactMap { use in
      let curves = summary.results.compactMap { result in
        result.metric == use.name && !result.curve.isEmpty
          ? result.method.map { (method: $0, values: result.curve) } : nil
      }
      let (across, up) =
        switch use.metric.name {
        case "insertion": ("pixels put in", "probability of the class")
        case "deletion": ("pixels taken away", "probability of the class")
        case "pixel-flipping": ("pixels replaced", "score of the class")
        default: ("steps", use.metric.name)
        }
      return curves.isEmpty ? nil : Report.Chart(metric: use.name, across: across, up: up, curves: curves)
    }
  }

  private func facts(_ summary: Summary, _ file: String) -> [(name: String, value: String)] {
    var facts = model.facts(file, output: plan.call.output)
    facts.append(("SHA-256 of the model", model.digest))
    facts.append(("data", "\(data.path ?? "given by the caller"), format \(data.format)"))
    facts.append(("classes of the data", data.classes))
    facts.append(("class explained", plan.target.text(model)))
    facts.append(("bootstrap", "\(summary.options.resamples) samples, seed \(summary.options.seed)"))
    return facts
  }

  // MARK: - Images

  private func addCases(to report: inout Report, _ progress: Progress) throws {
    let selection = try Selection(self)
    let rendering = Rendering()
    report.colors = plan.methods.isEmpty ? nil : Report.ColorScale(rendering)
    report.casesNote = selection.note
    for (i, entry) in selection.chosen.enumerated() {
      let part = progress.range(i..<i + 1, of: selection.chosen.count)
      do {
        guard var shown = try shown(entry.sample, rendering, part) else { continue }
        shown.reasons = entry.reasons
        report.cases.append(shown)
      } catch let failure as Failure where failure.kind == .cancelled {
        report.casesNote += " The others are missing: making this page was interrupted."
        return
      } catch let failure as Failure {
        // It is in the results, but cannot be shown.
        report.unread.append(
          Report.Unread(name: data.samples[entry.sample].name, reason: "no maps: \(failure.message)"))
      }
    }
  }

  /// An image with the maps of all methods; nil where its file is not at hand any more.
  private func shown(_ index: Int, _ rendering: Rendering, _ progress: Progress) throws -> Report.Case? {
    let sample = data.samples[index]
    guard let record = try foldedRecords[index], let image = try? image(index, .unwatched) else { return nil }
    let parts = progress.parts([1] + plan.methods.map { _ in 10 })
    return try image.withView { view in
      let predictions = try predictions(view, record.explanations.map(\.classIndex), parts[0])
      let maps = try zip(plan.methods, record.explanations).enumerated().map { i, pair -> Report.Map in
        let (use, explained) = pair
        let wanted = use.call.classAgain(explained.classIndex)
        guard
          var found = try model.explain(
            [.pixels(view)], classes: [[wanted]], method: use.method, use.call, parts[i + 1]
          ).first
        else { throw Failure(.internal, "\(use.name) gave no map") }
        found.method = use.name
        var map = try Report.Map(found, model, over: view, rendering, parts[i + 1].polling)
        map.values = zip(plan.explanationMetrics, explained.values).map { ($0.name, $1.value) }
        return map
      }
      var shown = Report.Case(
        name: sample.name,
        image: try InlineImage(image.legible(parts[0].polling), longest: longestSide, parts[0].polling),
        predictions: predictions, maps: maps)
      shown.truth = sample.truth.map(model.displayName)
      return shown
    }
  }

  /// None where the model has no scores of classes.
  private func predictions(_ view: PixelView, _ explained: [Int], _ progress: Progress) throws -> [Report.Prediction] {
    guard plan.needsScores || (try? model.requiredScores(plan.call.output)) != nil else { return [] }
    let head = try model.requiredScores(plan.call.output)
    let values = Array(try model.classify([.pixels(view)], plan.call.forScores, progress))
    return model.predictions(values, head, explained: explained)
  }
}

extension Report.Estimate {
  fileprivate init(_ estimate: Summary.Estimate) {
    self.init(mean: estimate.mean, interval: estimate.interval, count: estimate.count)
  }
}

extension Target {
  /// For people.
  fileprivate func text(_ model: Model) -> String {
    switch self {
    case .predicted: "the predicted one"
    case .truth: "the true one"
    case .least: "the least probable one"
    case .index(let index): model.displayName(of: index)
    case .table: "for each true class one of a table"
    }
  }
}
