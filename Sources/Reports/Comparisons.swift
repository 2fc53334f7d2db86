extension Report {
  /// Above so many pairs of a metric, only those with the best method are shown.
  private static let mostPairs = 28

  /// Every two methods, image by image, metric by metric.
  var comparisonSection: HTML {
    let tables = metrics.compactMap { metric -> HTML? in
      let pairs = pairs(metric)
      return pairs.isEmpty ? nil : table(metric, pairs)
    }
    if tables.isEmpty { return .none }
    return """
      <p>Both methods see the same images, so their values are compared image by image: a difference is told from chance
      where its interval leaves out 0.</p>
      \(tables)
      """
  }

  /// Those between methods that are no controls.
  private func pairs(_ metric: Metric) -> [Comparison] {
    let controls = methods.filter { $0.control != nil }.map(\.name)
    let all = comparisons.filter {
      $0.metric == metric.name && !controls.contains($0.method) && !controls.contains($0.other)
    }
    guard all.count > Self.mostPairs, let best = best(metric).first else { return all }
    return methods.compactMap { $0.name == best ? nil : comparison(best, $0.name, metric.name) }
      .filter { !controls.contains($0.other) }
  }

  private func table(_ metric: Metric, _ pairs: [Comparison]) -> HTML {
    let ends = pairs.flatMap { pair in
      [0, pair.difference.mean] + (pair.difference.interval.map { [$0.lowerBound, $0.upperBound] } ?? [])
    }.filter(\.isFinite)
    let scale = (ends.min() ?? 0)...(ends.max() ?? 0)
    let rows = pairs.map { pair -> HTML in
      let wins = pair.wins.map(percent) ?? "–"
      return """
        <tr role="row"><th scope="row" role="rowheader">\(isolated(pair.method)) − \(isolated(pair.other))</th>
        <td role="cell" data-label="difference"><span class="number">\(short(pair.difference.mean))</span>\
        \(bracket(pair.difference))\(intervalBar(pair.difference, scale, zero: true))</td>
        <td role="cell" data-label="first is better on">\(wins) of \(pair.difference.count) images</td>
        <td role="cell" data-label="verdict">\(words(pair, metric))</td></tr>
        """
    }
    return """
      <h3>\(metric.name) <span class="soft">\(metric.direction.words)</span></h3>
      <table class="stacked" role="table"><caption class="soft">Differences by \(metric.name), with \(intervalName)</caption>
      <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">methods</th>
      <th scope="col" role="columnheader">difference</th><th scope="col" role="columnheader">first is better on</th>
      <th scope="col" role="columnheader">verdict</th></tr></thead>
      <tbody role="rowgroup">
      \(rows)
      </tbody></table>
      """
  }

  private func words(_ pair: Comparison, _ metric: Metric) -> HTML {
    switch Verdict(pair, metric.direction) {
    case .better: "<strong>\(pair.method)</strong> is better"
    case .worse: "<strong>\(pair.other)</strong> is better"
    case .open: "could be chance"
    case nil: "–"
    }
  }

  /// Which methods are better than maps that know nothing of the model.
  var controlSection: HTML {
    let judged = metrics.filter { metric in
      metric.direction != .neither && results.contains { $0.metric == metric.name }
    }
    if judged.isEmpty { return .none }
    let controls = methods.filter { $0.control != nil }
    let real = methods.filter { $0.control == nil }.map(\.name)
    if controls.isEmpty {
      return """
        <p>Not known: no control was evaluated. A map that knows nothing of the model, random or always in the middle, shows
        what a number is worth; \(controlHint)</p>
        """
    }
    let items = judged.map { metric -> HTML in
      let sentences = controls.flatMap { sentence(real, $0, metric) }
      return "<h3>\(metric.name)</h3>\n<ul>\(sentences.map { HTML("<li>\($0)</li>") })</ul>"
    }
    return """
      <p>A map that knows nothing of the model is the least that a method has to beat. Beaten is a control where the
      interval of the difference, image by image, leaves out 0.</p>
      \(items)
      """
  }

  private func sentence(_ methods: [String], _ control: Method, _ metric: Metric) -> [HTML] {
    let title = control.control ?? control.name
    let verdicts = methods.map { method in
      (method, comparison(method, control.name, metric.name).flatMap { Verdict($0, metric.direction) })
    }
    func names(_ verdict: Verdict?) -> [String] { verdicts.filter { $0.1 == verdict }.map(\.0) }
    if !methods.isEmpty, names(.better).count == methods.count {
      return ["\(methods.count == 1 ? methods[0] : "Every method") beats \(title)."]
    }
    var sentences: [HTML] = []
    if case let beaten = names(.better), !beaten.isEmpty {
      sentences.append("\(list(beaten)) \(beaten.count == 1 ? "beats" : "beat") \(title).")
    }
    if case let open = names(.open), !open.isEmpty {
      sentences.append(
        """
        <strong>\(list(open)) \(open.count == 1 ? "does" : "do") not beat \(title)</strong>: \
        the difference could be chance.
        """)
    }
    if case let worse = names(.worse), !worse.isEmpty {
      sentences.append("<strong>\(list(worse)) \(worse.count == 1 ? "is" : "are") worse than \(title).</strong>")
    }
    if case let unknown = names(nil), !unknown.isEmpty {
      sentences.append("\(list(unknown)): not known, there is no interval.")
    }
    return sentences
  }
}
