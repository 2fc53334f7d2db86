import Tensors

extension Report {
  /// Every case: the image with what the model says to it, and the maps of all methods beside it.
  var gallery: HTML {
    if cases.isEmpty { return .none }
    let note = casesNote.isEmpty ? HTML.none : "<p>\(casesNote)</p>"
    return "\(note)\n\(colors?.legend ?? HTML.none)\n\(cases.enumerated().map { html($1, number: $0 + 1) })"
  }

  private func html(_ shown: Case, number: Int) -> HTML {
    let truth = shown.truth.map { HTML("<p>It is: \(isolated($0))</p>") } ?? .none
    let reasons = shown.reasons.map { HTML("<li>\($0)</li>") }
    let tags = reasons.isEmpty ? HTML.none : "<ul class=\"tags\" aria-label=\"Why it is shown\">\(reasons)</ul>"
    return """
      <article class="case" id="image-\(number)" aria-labelledby="image-\(number)-title">
      <header><h3 id="image-\(number)-title">\(isolated(shown.name))</h3>\(truth)\(tags)</header>
      <div>
      <figure>\(img(shown.image, "the image \(shown.name)"))</figure>
      \(bars(shown.predictions))
      </div>
      <div>
      \(groups(shown))
      </div>
      </article>
      """
  }

  /// The maps, those that explain the same together.
  private func groups(_ shown: Case) -> [HTML] {
    shown.maps.runs { $0.subject == $1.subject }.map { maps in
      let figures = maps.map { map -> HTML in
        let values = map.values.map { HTML("<dt>\($0.name)</dt><dd class=\"number\">\(short($0.value))</dd>") }
        return """
          <figure>\(img(map.image, "\(map.method) map of \(shown.name) for \(map.subject)"))
          <figcaption><strong>\(map.method)</strong>\(map.note.isEmpty ? HTML.none : HTML("<br>\(isolated(map.note))"))
          \(values.isEmpty ? HTML.none : HTML("<dl class=\"facts\">\(values)</dl>"))</figcaption></figure>
          """
      }
      return """
        <h4>\(isolated(maps[0].subject)) <span class="soft number">score \(short(maps[0].score))</span></h4>
        <div class="maps">
        \(figures)
        </div>
        """
    }
  }

  private func img(_ image: InlineImage, _ alternative: String) -> HTML {
    """
    <img src="\(image.address)" width="\(image.width)" height="\(image.height)" loading="lazy" alt="\(alternative)">
    """
  }

  private func bars(_ predictions: [Prediction]) -> HTML {
    if predictions.isEmpty { return .none }
    let rows = predictions.map { prediction -> HTML in
      let value = prediction.isProbability ? percent(prediction.value) : short(prediction.value)
      let bar = prediction.isProbability ? probabilityBar(prediction.value) : .none
      return """
        <li><span>\(isolated(prediction.label))</span> <span class="number">\(value)</span>\(bar)</li>
        """
    }
    return """
      <h4 class="soft">What the model sees</h4>
      <ol class="bars">
      \(rows)
      </ol>
      """
  }

  private func probabilityBar(_ value: Double) -> HTML {
    """
    <svg width="100%" height="8" aria-hidden="true"><rect class="track" width="100%" height="8" rx="4"/>\
    <rect class="fill" width="\(100 * min(max(value, 0), 1))%" height="8" rx="4"/></svg>
    """
  }
}

extension Report.ColorScale {
  /// The colours in a row, and what their ends stand for.
  var legend: HTML {
    let count = entries.count / 3
    if count < 2 { return .none }
    let places = (0...16).map { $0 * (count - 1) / 16 }
    let stops = places.map { i in
      HTML(
        """
        <stop offset="\(100 * Double(i) / Double(count - 1))%" \
        stop-color="rgb(\(Int(entries[3 * i])) \(Int(entries[3 * i + 1])) \(Int(entries[3 * i + 2])))"/>
        """)
    }
    return """
      <figure class="scale"><svg width="100%" height="18" role="img" aria-label="The colours of \(name), least to most">
      <defs><linearGradient id="colors">\(stops)</linearGradient></defs>
      <rect width="100%" height="18" fill="url(#colors)"/></svg>
      <figcaption><span>least: the map's smallest value</span><span>most: its largest</span></figcaption></figure>
      """
  }
}

extension Array {
  /// The elements in order, cut wherever `areAlike` is false for two neighbours. No run is empty.
  fileprivate func runs(_ areAlike: (Element, Element) -> Bool) -> [[Element]] {
    reduce(into: []) { runs, element in
      if let last = runs.last?.last, areAlike(last, element) {
        runs[runs.count - 1].append(element)
      } else {
        runs.append([element])
      }
    }
  }
}
