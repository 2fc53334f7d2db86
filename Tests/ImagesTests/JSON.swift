// SPDX-License-Identifier: Apache-2.0
import Tensors

/// A JSON document (RFC 8259), read without Foundation.
indirect enum JSON {
  case null
  case bool(Bool)
  case number(Double)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  init(parsing text: String) throws {
    var rest = Array(text.unicodeScalars)[...]
    self = try Self.value(&rest)
  }

  subscript(key: String) -> JSON { if case .object(let members) = self { members[key] ?? .null } else { .null } }
  var list: [JSON] { if case .list(let values) = self { values } else { [] } }
  var string: String? { if case .text(let text) = self { text } else { nil } }
  var number: Double? { if case .number(let number) = self { number } else { nil } }
  var isNull: Bool { if case .null = self { true } else { false } }
  /// The numbers in lists of lists, in order.
  var numbers: [Double] { number.map { [$0] } ?? list.flatMap(\.numbers) }

  private typealias Rest = ArraySlice<Unicode.Scalar>

  private static func value(_ rest: inout Rest) throws -> JSON {
    skip(&rest)
    switch rest.first {
    case "{":
      var members: [String: JSON] = [:]
      try items("{", "}", &rest) { rest in
        guard case .text(let key) = try value(&rest) else { throw damaged(rest) }
        try take(":", &rest)
        members[key] = try value(&rest)
      }
      return .object(members)
    case "[":
      var values: [JSON] = []
      try items("[", "]", &rest) { values.append(try value(&$0)) }
      return .list(values)
    case "\"": return .text(try string(&rest))
    default:
      let word = rest.prefix { !",]} \n\r\t".unicodeScalars.contains($0) }
      rest = rest.dropFirst(word.count)
      let text = String(String.UnicodeScalarView(word))
      switch text {
      case "null": return .null
      case "true", "false": return .bool(text == "true")
      default:
        guard let number = Double(text) else { throw damaged(rest) }
        return .number(number)
      }
    }
  }

  private static func items(
    _ start: Unicode.Scalar, _ end: Unicode.Scalar, _ rest: inout Rest, _ item: (inout Rest) throws -> Void
  ) throws {
    try take(start, &rest)
    skip(&rest)
    if rest.first == end { return try take(end, &rest) }
    while true {
      try item(&rest)
      skip(&rest)
      if rest.first == end { return try take(end, &rest) }
      try take(",", &rest)
    }
  }

  private static func string(_ rest: inout Rest) throws -> String {
    try take("\"", &rest)
    var units: [UInt16] = []
    while let scalar = rest.popFirst(), scalar != "\"" {
      guard scalar == "\\" else {
        units += Array(UTF16.encode(scalar) ?? .init())
        continue
      }
      guard let escaped = rest.popFirst() else { throw damaged(rest) }
      if escaped == "u" {
        let digits = String(String.UnicodeScalarView(rest.prefix(4)))
        guard let unit = UInt16(digits, radix: 16) else { throw damaged(rest) }
        units.append(unit)
        rest = rest.dropFirst(4)
      } else {
        let named: [Unicode.Scalar: Unicode.Scalar] = ["n": "\n", "r": "\r", "t": "\t", "b": "\u{8}", "f": "\u{C}"]
        units.append(UInt16((named[escaped] ?? escaped).value))
      }
    }
    return String(decoding: units, as: UTF16.self)
  }

  private static func take(_ scalar: Unicode.Scalar, _ rest: inout Rest) throws {
    skip(&rest)
    guard rest.popFirst() == scalar else { throw damaged(rest) }
  }

  private static func skip(_ rest: inout Rest) { rest = rest.drop { " \n\r\t".unicodeScalars.contains($0) } }

  private static func damaged(_ rest: Rest) -> Failure {
    Failure(.invalidArgument, "damaged JSON before \(quoted(String(String.UnicodeScalarView(rest.prefix(20)))))")
  }
}
