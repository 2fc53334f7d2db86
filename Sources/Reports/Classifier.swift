extension Report {
  /// Up to so many classes stand in a matrix, beyond that the most frequent mistakes in a list.
  private static let mostClasses = 14
  private static let mostMistakes = 20

  /// How often the model is right, and what it takes for what.
  var classifierSection: HTML {
    let rows = accuracy.map { name, estimate -> HTML in
      let interval = estimate.interval.map { " [\(percent($0.lowerBound)), \(percent($0.upperBound))]" } ?? ""
      return """
        <dt>\(name)</dt><dd><strong>\(percent(estimate.mean))</strong>\(interval) of \
        \(counted(estimate.count, "image", "images"))</dd>
        """
    }
    let facts = rows.isEmpty ? HTML.none : "<dl class=\"facts\">\(rows)</dl>"
    let table = confusionTable
    return facts.text.isEmpty && table.text.isEmpty ? .none : "\(facts)\n\(table)"
  }

  private var confusionTable: HTML {
    if confusion.isEmpty { return .none }
    var classes: [String] = []
    var known = Set<String>()
    for entry in confusion where known.insert(entry.truth).inserted { classes.append(entry.truth) }
    for entry in confusion where known.insert(entry.predicted).inserted { classes.append(entry.predicted) }
    return classes.count <= Self.mostClasses ? matrix(classes) : mistakes
  }

  private func matrix(_ classes: [String]) -> HTML {
    let heads = classes.map { HTML("<th scope=\"col\">\(isolated($0))</th>") }
    let rows = classes.map { truth -> HTML in
      let counts = classes.map { predicted in
        confusion.reduce(0) { $0 + ($1.truth == truth && $1.predicted == predicted ? $1.count : 0) }
      }
      let sum = counts.reduce(0, +)
      let cells = zip(classes, counts).map { predicted, count -> HTML in
        let share = sum > 0 ? Double(count) / Double(sum) : 0
        let kind: HTML = truth == predicted ? "right" : "wrong"
        return "<td class=\"\(kind) number\" style=\"--share: \(0.45 * share)\">\(count)</td>"
      }
      return "<tr><th scope=\"row\">\(isolated(truth))</th>\(cells)</tr>"
    }
    return """
      <h3>What is taken for what</h3>
      <div class="wide" role="region" tabindex="0" aria-label="Confusion matrix"><table class="matrix">
      <caption class="soft">Images by true class (rows) and predicted class (columns); framed: right</caption>
      <thead><tr><th scope="col">true class</th>\(heads)</tr></thead><tbody>
      \(rows)
      </tbody></table></div>
      """
  }

  private var mistakes: HTML {
    let wrong = confusion.filter { $0.truth != $0.predicted }.enumerated()
      .sorted { $0.element.count != $1.element.count ? $0.element.count > $1.element.count : $0.offset < $1.offset }
      .map(\.element)
    if wrong.isEmpty { return "<p>No image was taken for another class.</p>" }
    let rows = wrong.prefix(Self.mostMistakes).map { entry -> HTML in
      """
      <tr><th scope="row">\(isolated(entry.truth))</th><td>\(isolated(entry.predicted))</td>\
      <td class="number">\(entry.count)</td></tr>
      """
    }
    return """
      <h3>The most frequent mistakes</h3>
      <table><thead><tr><th scope="col">true class</th><th scope="col">taken for</th><th scope="col">images</th></tr></thead>
      <tbody>\(Array(rows))</tbody></table>
      """
  }
}
