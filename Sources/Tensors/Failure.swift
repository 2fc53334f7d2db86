/// The one error that Limpid throws: what kind, and a sentence that says what, where and what to do.
///
/// The kinds are those of `limpid_status` in the C header, in the same order.
public struct Failure: Error, Sendable, CustomStringConvertible {
  public enum Kind: Int32, Sendable {
    case invalidArgument = 1
    case notFound
    case io
    case invalidModel
    case invalidImage
    case unsupported
    case bufferTooSmall
    case cancelled
    case `internal`
  }

  public let kind: Kind
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }

  /// The same failure, its message preceded by where it happened.
  public func at(_ place: String) -> Failure { Failure(kind, "\(place): \(message)") }
}

/// Runs `body`; a failure in it is reported as happening at `place`.
public func locating<R>(_ place: @autoclosure () -> String, _ body: () throws -> R) throws -> R {
  do { return try body() } catch let failure as Failure { throw failure.at(place()) }
}

/// A name from outside as messages show it: in quotes, at most 80 characters, none of them a control character.
public func quoted(_ name: String) -> String {
  let scalars = name.unicodeScalars
  return "\"\(printable(scalars.prefix(80)))\(scalars.dropFirst(80).isEmpty ? "" : "…")\""
}

/// The same of a path, whole: what matters is often at its end.
public func quoted(path: UnsafePointer<CChar>) -> String {
  "\"\(printable(String(cString: path).unicodeScalars[...]))\""
}

private func printable(_ scalars: Substring.UnicodeScalarView) -> String {
  var text = String.UnicodeScalarView()
  for scalar in scalars { text.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar) }
  return String(text)
}
