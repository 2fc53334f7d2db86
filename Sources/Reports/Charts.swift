import Tensors

extension Report {
  /// The mean curves, a chart for each metric that draws any.
  var curveSection: HTML {
    let charts = charts.filter { chart in chart.curves.contains { $0.values.contains(where: \.isFinite) } }
    if charts.isEmpty { return .none }
    return "<div class=\"charts\">\n\(charts.map(drawn))\n</div>"
  }

  private func drawn(_ chart: Chart) -> HTML {
    let series = chart.curves.map { curve in
      (name: curve.method, style: methods.firstIndex { $0.name == curve.method } ?? 0, values: curve.values)
    }
    let direction = metrics.first { $0.name == chart.metric }?.direction.words ?? ""
    let legend = series.enumerated().map { i, curve -> HTML in
      let mean = estimate(curve.name, chart.metric).map { short($0.mean) } ?? ""
      return """
        <li><strong>\(letter(i))</strong> <svg width="36" height="12" aria-hidden="true"><line x1="0" x2="36" y1="6" y2="6" \
        class="\(style(curve.style))"/></svg>\(isolated(curve.name)) <span class="soft number">\(mean)</span></li>
        """
    }
    return """
      <figure class="chart"><figcaption><h3>\(chart.metric) <span class="soft">\(direction)</span></h3>
      <p class="soft">Up: \(chart.up)</p></figcaption>
      \(LineChart(across: chart.across, up: chart.up, series: series).svg(named: chart.metric))
      <ul class="legend" aria-label="Methods, with their means">\(legend)</ul>
      <details><summary>The curves as numbers</summary>\(numbers(chart))</details></figure>
      """
  }

  /// Eleven points of each curve.
  private func numbers(_ chart: Chart) -> HTML {
    let heads = chart.curves.map { HTML("<th scope=\"col\">\(isolated($0.method))</th>") }
    let rows = (0...10).map { i -> HTML in
      let cells = chart.curves.map { HTML("<td class=\"number\">\(short(point(Double(i) / 10, of: $0.values)))</td>") }
      return "<tr><th scope=\"row\">\(10 * i) %</th>\(cells)</tr>"
    }
    return """
      <div class="wide" role="region" tabindex="0" aria-label="\(chart.metric), the curves as numbers"><table>
      <thead><tr><th scope="col">\(chart.across)</th>\(heads)</tr></thead><tbody>\(rows)</tbody></table></div>
      """
  }
}

/// A class for the colour and one for the dashes of series `i`: told apart by both.
private func style(_ i: Int) -> HTML { "line s\(i % 8) d\(i % 5)" }

/// The value at a share of the way along a curve, linearly between its points.
private func point(_ share: Double, of values: [Double]) -> Double {
  guard let last = values.last, values.count > 1 else { return values.first ?? .nan }
  let place = share * Double(values.count - 1)
  let low = min(max(0, Int(place)), values.count - 2)
  if place >= Double(values.count - 1) { return last }
  return values[low] + (values[low + 1] - values[low]) * (place - Double(low))
}

/// Lines over 0 to 100 %, each with its letter on it: curves may start and end together, and lie on one another.
private struct LineChart {
  let across: String
  let up: String
  let series: [(name: String, style: Int, values: [Double])]

  /// In units of about a pixel on a phone, so that letters have their size.
  private let width = 360.0
  private let height = 250.0
  private let left = 44.0
  private let right = 348.0
  private let top = 12.0
  private let bottom = 206.0

  func svg(named name: String) -> HTML {
    let ticks = Ticks(series.flatMap(\.values).filter(\.isFinite))
    func x(_ share: Double) -> Double { left + (right - left) * share }
    func y(_ value: Double) -> Double {
      bottom - (bottom - top) * (value - ticks.low) / max(ticks.high - ticks.low, .leastNormalMagnitude)
    }
    let rows = ticks.values.map { value -> HTML in
      """
      <line class="axis" x1="\(left)" x2="\(right)" y1="\(y(value))" y2="\(y(value))"/>\
      <text x="\(left - 6)" y="\(y(value) + 4)" text-anchor="end">\(ticks.text(value))</text>
      """
    }
    let columns = [0.0, 0.25, 0.5, 0.75, 1].map { share -> HTML in
      "<text x=\"\(x(share))\" y=\"\(bottom + 17)\" text-anchor=\"middle\">\(Int(100 * share))</text>"
    }
    let lines = series.map { curve -> HTML in
      let points = (0...100).compactMap { i -> HTML? in
        let share = Double(i) / 100
        let value = point(share, of: curve.values)
        return value.isFinite ? "\(x(share)),\(y(value))" : nil
      }
      return "<polyline class=\"\(style(curve.style))\" points=\"\(HTML(points, separator: " "))\"/>"
    }
    let letters = series.enumerated().map { i, curve -> HTML in
      let share = (Double(i) + 1) / (Double(series.count) + 1)
      let value = point(share, of: curve.values)
      guard value.isFinite else { return .none }
      return """
        <circle class="badge s\(curve.style % 8)" cx="\(x(share))" cy="\(y(value))" r="8"/>\
        <text x="\(x(share))" y="\(y(value) + 4)" text-anchor="middle">\(letter(i))</text>
        """
    }
    return """
      <svg viewBox="0 0 \(width) \(height)" role="img" aria-label="Mean curves of \(name): \(up) over \(across)">
      \(rows)
      \(columns)
      <text x="\((left + right) / 2)" y="\(bottom + 36)" text-anchor="middle">\(across), %</text>
      \(lines)
      \(letters)
      </svg>
      """
  }
}

/// "A", "B", … "Z", "27"
private func letter(_ i: Int) -> String {
  i < 26 ? String(UnicodeScalar(UInt8(65 + i))) : "\(i + 1)"
}

/// Round numbers that span some values.
struct Ticks {
  let low: Double
  let high: Double
  let values: [Double]
  private let digits: Int32

  init(_ numbers: [Double]) {
    let (least, most) = (numbers.min() ?? 0, numbers.max() ?? 1)
    // Shares and probabilities are shown on the whole of their scale, but for small ones.
    let start = min(0, least)
    let extent = most > start ? most - start : 1
    let power = Self.powerOfTen(below: extent / 4)
    let step = [1.0, 2, 2.5, 5, 10].map { $0 * power }.first { extent / $0 <= 5 } ?? 10 * power
    low = (start / step).rounded(.down) * step
    high = max((most / step).rounded(.up) * step, low + step)
    let (first, steps) = (low, Int(min(20, ((high - low) / step).rounded())))
    values = (0...max(1, steps)).map { first + Double($0) * step }
    var digits: Int32 = 0
    var scaled = step
    while digits < 6, abs(scaled - scaled.rounded()) > 1e-6 * scaled {
      scaled *= 10
      digits += 1
    }
    self.digits = digits
  }

  func text(_ value: Double) -> String {
    let size = max(abs(low), abs(high))
    return size >= 1e6 || size < 1e-4 ? short(value) : fixed(value, digits)
  }

  private static func powerOfTen(below value: Double) -> Double {
    var power = 1.0
    while power > value, power > 1e-12 { power /= 10 }
    while power * 10 <= value, power < 1e12 { power *= 10 }
    return power
  }
}
