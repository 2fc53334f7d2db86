/// A piece of a page. What stands between `\(` and `)` is text from outside unless it is a piece itself, and is
/// escaped: no name of a file, a class or a layer can become markup.
struct HTML: ExpressibleByStringInterpolation {
  private(set) var text: String

  init(stringLiteral value: StaticString) { text = "\(value)" }
  init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

  /// The pieces one after the other.
  init(_ pieces: [HTML], separator: StaticString = "\n") {
    text = pieces.map(\.text).joined(separator: "\(separator)")
  }

  static let none: HTML = ""

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(2 * literalCapacity) }

    mutating func appendLiteral(_ literal: StaticString) { text += "\(literal)" }
    mutating func appendInterpolation(_ piece: HTML) { text += piece.text }
    mutating func appendInterpolation(_ pieces: [HTML]) { text += HTML(pieces).text }
    mutating func appendInterpolation(_ number: Int) { text += "\(number)" }
    mutating func appendInterpolation(_ value: String) { text += HTML.escaped(value) }
    /// A coordinate or a share: at most two digits after the point.
    mutating func appendInterpolation(_ number: Double) {
      text += number.isFinite ? "\((number * 100).rounded() / 100)" : "0"
    }
  }

  /// Text in an element or in a quoted attribute. What HTML forbids (control characters, characters that are none) is
  /// U+FFFD.
  private static func escaped(_ value: String) -> String {
    var text = String.UnicodeScalarView()
    for scalar in value.unicodeScalars {
      switch scalar {
      case "&": text.append(contentsOf: "&amp;".unicodeScalars)
      case "<": text.append(contentsOf: "&lt;".unicodeScalars)
      case ">": text.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": text.append(contentsOf: "&quot;".unicodeScalars)
      case "'": text.append(contentsOf: "&#39;".unicodeScalars)
      case "\n", "\t": text.append(scalar)
      default:
        let isForbidden =
          scalar.properties.generalCategory == .control || scalar.properties.isNoncharacterCodePoint
        text.append(isForbidden ? "\u{FFFD}" : scalar)
      }
    }
    return String(text)
  }
}

/// A name from outside among our words: whichever way it is written, it does not turn what stands around it.
func isolated(_ name: String) -> HTML { "<bdi>\(name)</bdi>" }

/// `count` of something, in words that fit.
func counted(_ count: Int, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }
