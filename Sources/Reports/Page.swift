extension Report {
  /// The whole page, one file of HTML in UTF-8 that needs no other.
  public var html: String {
    let sections = self.sections.filter { !$0.body.text.isEmpty }
    let links = sections.map { HTML("<li><a href=\"#\($0.identifier)\">\($0.title)</a></li>") }
    let page: HTML = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="generator" content="Limpid">
      <link rel="icon" href="data:,">
      <title>\(title)</title>
      <style>
      \(stylesheet)
      </style>
      </head>
      <body>
      <header>
      <h1>\(isolated(title))</h1>
      \(summary.prefix(1).map { HTML("<p class=\"lead\">\($0)</p>") })
      \(summary.dropFirst().map { HTML("<p>\($0)</p>") })
      </header>
      <nav aria-label="Contents"><ul>\(links)</ul></nav>
      <main>
      \(sections.map { $0.html })
      </main>
      <footer><p>Made by Limpid. This page needs nothing but itself: no network, no script to be read.</p></footer>
      <script>
      \(script)
      </script>
      </body>
      </html>

      """
    return page.text
  }

  private var sections: [Section] {
    [
      Section("results", "Results", resultSection),
      Section("controls", "Is it better than knowing nothing?", controlSection),
      Section("comparisons", "Methods compared", comparisonSection),
      Section("curves", "Curves", curveSection),
      Section("classifier", "The classifier", classifierSection),
      Section("images", cases.count == 1 ? "The image" : "The images", gallery),
      Section("unread", "Images that failed", failures),
      Section("metrics", "What the numbers mean", meanings),
      Section("reading", "How to read the maps", reading),
      Section("settings", "Settings and versions", Self.facts(settings)),
      Section("again", "How to make this page again", reproduction),
    ]
  }

  private var failures: HTML {
    if unread.isEmpty { return .none }
    let rows = unread.map { HTML("<dt>\(isolated($0.name))</dt><dd>\(isolated($0.reason))</dd>") }
    return """
      <p>\(counted(unread.count, "image is", "images are")) missing above.</p>
      <dl class="facts">\(rows)</dl>
      """
  }

  private var meanings: HTML {
    if metrics.isEmpty { return .none }
    let entries = metrics.map { described($0.name, $0.summary, $0.settings) }
    let intervals =
      results.contains { $0.estimate.interval != nil }
      ? HTML(
        """
        <p>The \(intervalName) tell how much a mean depends on which images were there: they are the range of the means of
        samples drawn from these images with replacement (percentile bootstrap).</p>
        """) : .none
    return "\(entries)\n\(intervals)"
  }

  private func described(_ name: String, _ summary: String, _ settings: [(name: String, value: String)]) -> HTML {
    let used = settings.map { "\($0.name) = \($0.value)" }.joined(separator: ", ")
    return """
      <h3>\(isolated(name))</h3>
      <p>\(summary)</p>
      \(used.isEmpty ? HTML.none : HTML("<p class=\"soft\">\(used)</p>"))
      """
  }

  private var reading: HTML {
    if methods.isEmpty { return .none }
    let entries = methods.map { described($0.name, $0.summary, $0.settings) }
    return """
      <p>Each map has its own scale (of some methods the maps of all classes have one): its colours compare places of one
      image, not images or methods with each other. The score is the model's own number for the class, before it becomes a probability. What lies outside of a map the model
      did not see.</p>
      \(entries)
      """
  }

  private var reproduction: HTML {
    guard let command else { return .none }
    return """
      <pre><code>\(command)</code></pre>
      <p class="soft">With the same files, settings and version the numbers and maps are the same, for any number of
      threads.</p>
      """
  }

  static func facts(_ rows: [(name: String, value: String)]) -> HTML {
    if rows.isEmpty { return .none }
    let pairs = rows.map { HTML("<dt>\($0.name)</dt><dd>\(isolated($0.value))</dd>") }
    return "<dl class=\"facts\">\(pairs)</dl>"
  }
}

/// A heading with what stands under it.
private struct Section {
  let identifier: String
  let title: String
  let body: HTML

  init(_ identifier: String, _ title: String, _ body: HTML) {
    (self.identifier, self.title, self.body) = (identifier, title, body)
  }

  var html: HTML {
    """
    <section id="\(identifier)" aria-labelledby="\(identifier)-title">
    <h2 id="\(identifier)-title">\(title)</h2>
    \(body)
    </section>
    """
  }
}
