/// Rows of text in aligned columns.
struct Table {
  private let header: [String]?
  private var rows: [[String]] = []

  init(_ header: [String]? = nil) { self.header = header }

  mutating func add(_ row: String...) { rows.append(row) }
  mutating func add(_ row: [String]) { rows.append(row) }

  /// Empty where there is no row: a header alone says nothing.
  var text: String {
    if rows.isEmpty { return "" }
    let rows = (header.map { [$0] } ?? []) + self.rows
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0.padded(to: $1) }
      var line = cells.joined(separator: "  ")[...]
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  /// Names from files and models, without what would garble a terminal.
  var printable: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
  }
}
