/// A JSON document to be written (RFC 8259).
enum JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
  case null
  case literal(String)
  case text(String)
  case list([JSON])
  /// In the order in which they are written.
  case object([(String, JSON)])

  init(stringLiteral value: String) { self = .text(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(integerLiteral value: Int) { self = .integer(value) }

  static func bool(_ value: Bool) -> JSON { .literal(value ? "true" : "false") }
  static func integer(_ value: some BinaryInteger) -> JSON { .literal(String(value)) }
  /// The shortest text that reads as the same number; JSON has no NaN and no infinity, so these are null.
  static func number(_ value: Float) -> JSON { value.isFinite ? .literal("\(value)") : .null }
  static func number(_ value: Double) -> JSON { value.isFinite ? .literal("\(value)") : .null }
  static func optional(_ value: String?) -> JSON { value.map(JSON.text) ?? .null }
  static func optional(_ value: Int?) -> JSON { value.map { .integer($0) } ?? .null }
  static func texts(_ values: [String]) -> JSON { .list(values.map(JSON.text)) }

  /// The document, indented, with a newline at its end.
  var document: String {
    var text = ""
    write(to: &text, indent: "\n")
    return text + "\n"
  }

  private func write(to text: inout String, indent: String) {
    let inner = indent + "  "
    switch self {
    case .null: text += "null"
    case .literal(let value): text += value
    case .text(let value): text += Self.quoted(value)
    case .list(let values):
      // Lists of plain values stay on one line.
      let isFlat = values.allSatisfy { if case .object = $0 { false } else { true } }
      text += "["
      for (i, value) in values.enumerated() {
        text += (i > 0 ? "," : "") + (isFlat ? (i > 0 ? " " : "") : inner)
        value.write(to: &text, indent: isFlat ? indent : inner)
      }
      text += isFlat ? "]" : indent + "]"
    case .object(let members):
      text += "{"
      for (i, member) in members.enumerated() {
        text += (i > 0 ? "," : "") + inner + Self.quoted(member.0) + ": "
        member.1.write(to: &text, indent: inner)
      }
      text += members.isEmpty ? "}" : indent + "}"
    }
  }

  private static func quoted(_ value: String) -> String {
    var text = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
