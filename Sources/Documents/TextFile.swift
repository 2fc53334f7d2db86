import Tensors

/// Text files of lines.
public enum TextFile {
  /// The lines, without their ends (LF, CR LF); a last empty one is left out. What is no UTF-8 is kept as in names.
  public static func lines(_ path: String) throws -> [String] {
    let file = try Storage(path: path.systemName)
    var lines = file.withBytes { $0.split(separator: 0x0A, omittingEmptySubsequences: false).map(text) }
    if lines.last?.isEmpty == true { lines.removeLast() }
    if let first = lines.first, first.hasPrefix("\u{FEFF}") {
      lines[0] = String(String.UnicodeScalarView(first.unicodeScalars.dropFirst()))
    }
    return lines
  }

  private static func text(_ line: Slice<UnsafeRawBufferPointer>) -> String {
    let bytes = line.last == 0x0D ? line.dropLast() : line
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return String(name: bytes.filter { $0 != 0 }.map { CChar(truncatingIfNeeded: $0) } + [0])
  }

  public static func text(_ path: String) throws -> String {
    let file = try Storage(path: path.systemName)
    return file.withBytes { String(decoding: $0, as: UTF8.self) }
  }

  /// The fields of a line of comma-separated values (RFC 4180): quotes may enclose a field, and are doubled in it.
  public static func fields(_ line: String, separator: Character = ",") -> [String] {
    var fields: [String] = []
    var field = ""
    var isQuoted = false
    var rest = line[...]
    while let character = rest.popFirst() {
      switch character {
      case "\"" where isQuoted && rest.first == "\"":
        field.append("\"")
        rest.removeFirst()
      case "\"" where isQuoted || field.isEmpty: isQuoted.toggle()
      case separator where !isQuoted:
        fields.append(field)
        field = ""
      default: field.append(character)
      }
    }
    return fields + [field]
  }
}

extension String {
  /// Without blanks at the ends.
  public var trimmed: String {
    var text = self[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
