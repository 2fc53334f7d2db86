import Tensors

/// An element of an XML document, as far as annotations need it: no namespaces, no attributes, no other entities than
/// the five that every document has.
public struct XMLElement: Sendable {
  public let name: String
  public private(set) var text = ""
  public private(set) var children: [XMLElement] = []

  /// The first child of this name.
  public subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

  public func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

  /// The document's element. Throws `invalidArgument`.
  public init(document: String) throws {
    var rest = document[...]
    var open = [XMLElement(name: "")]
    while let start = rest.firstIndex(of: "<") {
      open[open.count - 1].text += Self.decoded(rest[..<start])
      rest = rest[start...]
      if let (mark, end) = [("<!--", "-->"), ("<?", "?>"), ("<!", ">")].first(where: { rest.hasPrefix($0.0) }) {
        guard let next = Self.skipped(rest.dropFirst(mark.count), past: end) else { throw Self.damaged }
        rest = next
        continue
      }
      guard let end = rest.firstIndex(of: ">") else { throw Self.damaged }
      let tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.hasPrefix("/") {
        let closed = open.removeLast()
        guard closed.name == String(tag.dropFirst()).trimmed, !open.isEmpty else { throw Self.damaged }
        open[open.count - 1].children.append(closed)
      } else {
        guard let name = tag.split(whereSeparator: { $0.isWhitespace || $0 == "/" }).first, open.count < 64 else {
          throw Self.damaged
        }
        if tag.hasSuffix("/") {
          open[open.count - 1].children.append(XMLElement(name: String(name)))
        } else {
          open.append(XMLElement(name: String(name)))
        }
      }
    }
    guard open.count == 1, let root = open[0].children.first else { throw Self.damaged }
    self = root
  }

  private init(name: String) { self.name = name }

  private static let damaged = Failure(.invalidArgument, "this is no XML, or damaged")

  private static func skipped(_ text: Substring, past end: String) -> Substring? {
    var rest = text
    while !rest.isEmpty {
      if rest.hasPrefix(end) { return rest.dropFirst(end.count) }
      rest.removeFirst()
    }
    return nil
  }

  private static func decoded(_ text: Substring) -> String {
    guard text.contains("&") else { return String(text) }
    var result = String(text)
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
      result = result.split(separator: entity, omittingEmptySubsequences: false).joined(separator: character)
    }
    return result
  }
}
