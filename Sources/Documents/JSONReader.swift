import Tensors

/// Reads JSON (RFC 8259) from the first byte to the last, so that of large documents only what is wanted is kept.
///
/// Damaged text throws `invalidArgument`, saying at which byte. Of a member that is given twice both are seen.
public struct JSONReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var depth = 0
  private static let deepest = 128

  /// `bytes` must stay for as long as the reader is used.
  public init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    // A byte order mark, as some editors write it.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  /// A whole document.
  public static func document(_ bytes: UnsafeRawBufferPointer) throws -> JSON {
    var reader = JSONReader(bytes)
    let value = try reader.value()
    try reader.end()
    return value
  }

  public static func document(_ text: String) throws -> JSON {
    var text = text
    return try text.withUTF8 { try document(UnsafeRawBufferPointer($0)) }
  }

  /// Nothing may follow but blanks.
  public mutating func end() throws {
    guard peek() == nil else { throw damaged("something follows the document") }
  }

  /// Calls `body` at the value of each member of the object that comes next; it must read or skip it.
  public mutating func object(_ body: (_ name: String, _ reader: inout JSONReader) throws -> Void) throws {
    try enter("{")
    var isFirst = true
    while !take("}") {
      if !isFirst { try expect(",") }
      isFirst = false
      let name = try string()
      try expect(":")
      try body(name, &self)
    }
    depth -= 1
  }

  /// The same for the elements of a list.
  public mutating func list(_ body: (_ reader: inout JSONReader) throws -> Void) throws {
    try enter("[")
    var isFirst = true
    while !take("]") {
      if !isFirst { try expect(",") }
      isFirst = false
      try body(&self)
    }
    depth -= 1
  }

  public mutating func value() throws -> JSON {
    switch peek() {
    case UInt8(ascii: "{"):
      var members: [(String, JSON)] = []
      try object { name, reader in members.append((name, try reader.value())) }
      return .object(members)
    case UInt8(ascii: "["):
      var values: [JSON] = []
      try list { values.append(try $0.value()) }
      return .list(values)
    case UInt8(ascii: "\""): return .text(try string())
    default:
      let word = try literal()
      return word == "null" ? .null : .literal(word)
    }
  }

  public mutating func skip() throws {
    switch peek() {
    case UInt8(ascii: "{"): try object { try $1.skip() }
    case UInt8(ascii: "["): try list { try $0.skip() }
    case UInt8(ascii: "\""): _ = try string()
    default: _ = try literal()
    }
  }

  /// Whether a list comes next.
  public mutating func isList() -> Bool { peek() == UInt8(ascii: "[") }

  public mutating func number() throws -> Double {
    guard let number = Double(try literal()) else { throw damaged("a number was expected") }
    return number
  }

  public mutating func integer() throws -> Int {
    let number = try number()
    guard let integer = Int(exactly: number) else { throw damaged("a whole number was expected") }
    return integer
  }

  public mutating func string() throws -> String {
    try expect("\"")
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw damaged("a text is not UTF-8") }
        return string
      case UInt8(ascii: "\\"): text += try escape().utf8
      case 0..<0x20: throw damaged("a text has a control character in it")
      default: text.append(byte)
      }
    }
    throw damaged("a text does not end")
  }

  /// What follows a backslash.
  private mutating func escape() throws -> String {
    guard position < bytes.count else { throw damaged("a text does not end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(UnicodeScalar(byte))
    case UInt8(ascii: "u"): break
    default: throw damaged("there is no such escape in a text")
    }
    let first = try hexadecimal()
    var code = UInt32(first)
    if 0xD800..<0xDC00 ~= code {
      guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
      else { return "\u{FFFD}" }
      position += 2
      let second = UInt32(try hexadecimal())
      guard 0xDC00..<0xE000 ~= second else { return "\u{FFFD}" }
      code = 0x10000 + (code - 0xD800) << 10 + (second - 0xDC00)
    }
    return Unicode.Scalar(code).map { String($0) } ?? "\u{FFFD}"
  }

  private mutating func hexadecimal() throws -> UInt16 {
    guard position + 4 <= bytes.count else { throw damaged("a text does not end") }
    let digits = String(decoding: bytes[position..<position + 4], as: UTF8.self)
    guard let value = UInt16(digits, radix: 16), !digits.hasPrefix("+"), !digits.hasPrefix("-") else {
      throw damaged("\\u needs four hexadecimal digits")
    }
    position += 4
    return value
  }

  /// A number, true, false or null.
  private mutating func literal() throws -> String {
    _ = peek()
    let start = position
    while position < bytes.count, Self.isWord(bytes[position]) { position += 1 }
    let word = String(decoding: bytes[start..<position], as: UTF8.self)
    let isNumber = word.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) } && Double(word) != nil
    guard isNumber || ["true", "false", "null"].contains(word) else {
      position = start
      throw damaged("a value was expected")
    }
    return word
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "+"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  private mutating func enter(_ bracket: Unicode.Scalar) throws {
    try expect(bracket)
    depth += 1
    guard depth <= Self.deepest else { throw damaged("it is nested too deeply") }
  }

  /// The next byte that is no blank.
  private mutating func peek() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return bytes[position]
      }
    }
    return nil
  }

  private mutating func take(_ mark: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: mark) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ mark: Unicode.Scalar) throws {
    guard take(mark) else { throw damaged("\(quoted(String(mark))) was expected") }
  }

  private func damaged(_ what: String) -> Failure {
    Failure(.invalidArgument, "this is no JSON, or damaged: \(what) at byte \(position)")
  }
}
