/// A JSON document (RFC 8259). Numbers are kept as they are written.
public enum JSON: Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
  case null
  case literal(String)
  case text(String)
  case list([JSON])
  /// In the order in which they are written.
  case object([(String, JSON)])

  public init(stringLiteral value: String) { self = .text(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }

  public static func bool(_ value: Bool) -> JSON { .literal(value ? "true" : "false") }
  public static func integer(_ value: some BinaryInteger) -> JSON { .literal(String(value)) }
  /// The shortest text that reads as the same number; JSON has no NaN and no infinity, so these are null.
  public static func number(_ value: Float) -> JSON { value.isFinite ? .literal("\(value)") : .null }
  public static func number(_ value: Double) -> JSON { value.isFinite ? .literal("\(value)") : .null }
  public static func optional(_ value: String?) -> JSON { value.map(JSON.text) ?? .null }
  public static func optional(_ value: Int?) -> JSON { value.map { .integer($0) } ?? .null }
  public static func texts(_ values: [String]) -> JSON { .list(values.map(JSON.text)) }

  /// The document, indented, with a newline at its end.
  public var document: String {
    var text = ""
    write(to: &text, indent: "\n")
    return text + "\n"
  }

  /// The same without blanks and line ends.
  public var line: String {
    var text = ""
    writeLine(to: &text)
    return text
  }

  private func writeLine(to text: inout String) {
    switch self {
    case .list(let values):
      text += "["
      for (i, value) in values.enumerated() {
        if i > 0 { text += "," }
        value.writeLine(to: &text)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (i, member) in members.enumerated() {
        text += (i > 0 ? "," : "") + Self.quoted(member.0) + ":"
        member.1.writeLine(to: &text)
      }
      text += "}"
    default: write(to: &text, indent: "")
    }
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

extension JSON {
  /// A member of an object; nil where there is none.
  public subscript(name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.0 == name }?.1
  }

  public var string: String? { if case .text(let text) = self { text } else { nil } }
  public var list: [JSON]? { if case .list(let values) = self { values } else { nil } }
  public var members: [(String, JSON)]? { if case .object(let members) = self { members } else { nil } }

  /// NaN for null, which stands for numbers that JSON does not have.
  public var number: Double? {
    switch self {
    case .null: .nan
    case .literal(let text): Double(text)
    default: nil
    }
  }

  public var integer: Int? { if case .literal(let text) = self { Int(text) } else { nil } }
  public var bool: Bool? {
    if case .literal(let text) = self { text == "true" ? true : text == "false" ? false : nil } else { nil }
  }
}
