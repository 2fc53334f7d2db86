import Tensors

/// Text files of lines.
public enum TextFile {
  /// The lines, without their ends (LF, CR LF; CR where there is no LF); a last empty one is left out. Text is UTF-8, or
  /// UTF-16 with a mark of its order; what is neither is kept as in names.
  public static func lines(_ path: String) throws -> [String] {
    let file = try Storage(path: path.systemName)
    return file.withBytes { lines(wide($0).map { Array($0.utf8) } ?? Array($0)) }
  }

  private static func lines(_ bytes: [UInt8]) -> [String] {
    let end: UInt8 = bytes.contains(0x0A) ? 0x0A : 0x0D
    var lines = bytes.split(separator: end, omittingEmptySubsequences: false).map(text)
    if lines.last?.isEmpty == true { lines.removeLast() }
    if let first = lines.first, first.hasPrefix("\u{FEFF}") {
      lines[0] = String(String.UnicodeScalarView(first.unicodeScalars.dropFirst()))
    }
    return lines
  }

  /// Text of UTF-16 that begins with the mark of its order, as some systems' shells and spreadsheets write it.
  private static func wide(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard bytes.count >= 2, bytes.count % 2 == 0 else { return nil }
    let isLittle = bytes[0] == 0xFF && bytes[1] == 0xFE
    guard isLittle || bytes[0] == 0xFE && bytes[1] == 0xFF else { return nil }
    let (low, high) = isLittle ? (0, 1) : (1, 0)
    var units: [UInt16] = []
    for i in stride(from: 2, to: bytes.count, by: 2) {
      let upper = UInt16(bytes[i + high]), lower = UInt16(bytes[i + low])
      units.append(upper << 8 | lower)
    }
    return String(decoding: units, as: UTF16.self)
  }

  private static func text(_ line: ArraySlice<UInt8>) -> String {
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
