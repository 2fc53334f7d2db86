extension Report {
  /// Methods by metrics, in one table; what came out, in words before it.
  var resultSection: HTML {
    if results.isEmpty { return .none }
    let heads = metrics.map { metric in
      HTML(
        """
        <th scope="col" role="columnheader">\(metric.name)<br><span class="soft">\(metric.direction.words)</span></th>
        """)
    }
    let rows = methods.map { method -> HTML in
      let control = method.control == nil ? HTML.none : "<br><span class=\"soft\">control</span>"
      return """
        <tr role="row"><th scope="row" role="rowheader">\(isolated(method.name))\(control)</th>
        \(metrics.map { cell(method, $0) })</tr>
        """
    }
    return """
      \(caution)
      <ul>\(metrics.compactMap(sentence).map { HTML("<li>\($0)</li>") })</ul>
      <div class="wide" role="region" tabindex="0" aria-label="Results">
      <table class="stacked" role="table"><caption>\(caption)</caption>
      <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">method</th>\(heads)</tr></thead>
      <tbody role="rowgroup">
      \(rows)
      </tbody></table></div>
      """
  }

  /// Below so many images bootstrap intervals are known to be too narrow.
  private static let few = 20

  private var imageCount: Int { results.map(\.estimate.count).max() ?? 0 }

  /// What a reader should know before believing intervals of a handful of images.
  private var caution: HTML {
    guard imageCount < Self.few, results.contains(where: { $0.estimate.interval != nil }) else { return .none }
    return """
      <p><strong>These are few images.</strong> Intervals of fewer than \(Self.few) are too narrow: take what is said of chance
      as a hint.</p>
      """
  }

  private var caption: String {
    let images = imageCount
    let start = "Means over \(counted(images, "image", "images"))"
    return results.contains { $0.estimate.interval != nil }
      ? "\(start), with \(intervalName) in brackets and as bars; the bars of a column have one scale." : "\(start)."
  }

  /// "95 % intervals"
  var intervalName: String { "\(percent(confidence)) intervals" }

  private func cell(_ method: Method, _ metric: Metric) -> HTML {
    guard let estimate = estimate(method.name, metric.name) else {
      return "<td role=\"cell\" data-label=\"\(metric.name)\">–</td>"
    }
    let isBest = best(metric).contains(method.name)
    let mark = isBest ? HTML(" <span class=\"best\">★ best</span>") : .none
    let mean = isBest ? HTML("<strong>\(short(estimate.mean))</strong>") : HTML("\(short(estimate.mean))")
    return """
      <td role="cell" data-label="\(metric.name)"><span class="number">\(mean)\(mark)</span>\(bracket(estimate))\
      \(intervalBar(estimate, scale(of: metric)))</td>
      """
  }

  /// What the bars of a metric's column go from and to.
  private func scale(of metric: Metric) -> ClosedRange<Double> {
    let ends = results.filter { $0.metric == metric.name }.flatMap { result in
      [result.estimate.mean] + (result.estimate.interval.map { [$0.lowerBound, $0.upperBound] } ?? [])
    }.filter(\.isFinite)
    guard let low = ends.min(), let high = ends.max() else { return 0...1 }
    return low...high
  }

  /// Which method is best by the metric, and whether that could be chance.
  private func sentence(_ metric: Metric) -> HTML? {
    let best = best(metric)
    guard let first = best.first, let estimate = estimate(first, metric.name) else { return nil }
    let others = methods.filter { $0.control == nil && !best.contains($0.name) }.map(\.name)
    let close = others.filter { other in
      comparison(first, other, metric.name).flatMap { Verdict($0, metric.direction) } == .open
    }
    let names = best.joined(separator: ", ")
    var end = ""
    if best.count == 1, comparisons.contains(where: { $0.metric == metric.name && $0.difference.interval != nil }) {
      end =
        close.isEmpty
        ? ", and better than all others beyond chance"
        : "; the difference to \(list(close)) could be chance"
    }
    return """
      By <strong>\(metric.name)</strong> (\(metric.direction.words)), <strong>\(names)</strong> \
      \(best.count == 1 ? "is" : "are") best with \(short(estimate.mean))\(end).
      """
  }
}

/// "[0.12, 0.18]"
func bracket(_ estimate: Report.Estimate) -> HTML {
  guard let interval = estimate.interval else { return .none }
  return """
     <span class="soft number">[\(short(interval.lowerBound)), \(short(interval.upperBound))]</span>
    """
}

/// The interval as a line and the mean as a dot on it, on a scale from `range`'s start to its end.
func intervalBar(_ estimate: Report.Estimate, _ range: ClosedRange<Double>, zero: Bool = false) -> HTML {
  guard let interval = estimate.interval, estimate.mean.isFinite else { return .none }
  let extent = range.upperBound - range.lowerBound
  // Room for the dot at both ends.
  func place(_ value: Double) -> Double { extent > 0 ? 4 + 92 * (value - range.lowerBound) / extent : 50 }
  let middle =
    zero
    ? HTML("<line class=\"axis\" x1=\"\(place(0))%\" x2=\"\(place(0))%\" y1=\"0\" y2=\"12\"/>")
    : "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"6\" y2=\"6\"/>"
  return """
    <svg class="interval" width="100%" height="12" aria-hidden="true">\(middle)\
    <line class="span" x1="\(place(interval.lowerBound))%" x2="\(place(interval.upperBound))%" y1="6" y2="6"/>\
    <circle class="fill" cx="\(place(estimate.mean))%" cy="6" r="4"/></svg>
    """
}

/// "a", "a and b", "a, b and c"
func list(_ names: [String]) -> String {
  guard let last = names.last, names.count > 1 else { return names.joined() }
  return names.dropLast().joined(separator: ", ") + " and " + last
}
