import Documents
import Tensors

/// A text file with a line for each image: its path and its class, with blanks, a tab, a comma or a semicolon between
/// them (TAME's and L-CAM's lists, CA-Stream's csv); or paths alone.
///
/// A path without any dot gets ".jpg", as TAME's program has it. The class is a number, or a name.
struct ListFile {
  private enum Separator { case comma, semicolon, tab, blank, none }

  let entries: [(path: String, label: String?)]

  init(_ path: String) throws {
    let lines = try TextFile.lines(path).map(\.trimmed)
    guard let first = lines.first(where: { !$0.isEmpty }) else { throw Failure(.invalidArgument, "the list is empty") }
    let separator = Self.separator(of: first)
    var entries: [(path: String, label: String?)] = []
    for (number, line) in lines.enumerated() where !line.isEmpty {
      guard let entry = Self.split(line, separator), !entry.path.isEmpty else {
        throw Failure(
          .invalidArgument, "line \(number + 1), \(quoted(line)), is not like the first: a path, and its class")
      }
      guard !line.utf8.contains(0) else {
        throw Failure(.invalidArgument, "line \(number + 1), \(quoted(line)), has a NUL, which no name has")
      }
      entries.append(entry)
    }
    if let label = entries.first?.label, entries.count > 1, Self.titles.contains(label.lowercased()) {
      entries.removeFirst()
    }
    self.entries = entries
  }

  private static let titles: Set<String> = ["label", "labels", "class", "class_id", "category", "target"]

  private static func separator(of line: String) -> Separator {
    if line.contains(";") { return .semicolon }
    if line.contains(",") { return .comma }
    if line.contains("\t") { return .tab }
    // A path with a blank in it, alone, ends in no number.
    guard let last = line.split(whereSeparator: \.isWhitespace).last, last.count < line.count else { return .none }
    return isImageName(String(last)) ? .none : .blank
  }

  private static func split(_ line: String, _ separator: Separator) -> (path: String, label: String?)? {
    func pair(_ fields: [String]) -> (path: String, label: String?)? {
      fields.count == 2 ? (fields[0].trimmed, fields[1].trimmed) : nil
    }
    switch separator {
    case .comma: return pair(TextFile.fields(line))
    case .semicolon: return pair(TextFile.fields(line, separator: ";"))
    case .tab: return pair(TextFile.fields(line, separator: "\t"))
    case .blank:
      guard let blank = line.lastIndex(where: \.isWhitespace) else { return nil }
      return (String(line[..<blank]).trimmed, String(line[line.index(after: blank)...]))
    case .none: return (line, nil)
    }
  }
}

extension DataFormat {
  static let listFile = DataFormat(
    name: "list", summary: "a text file of lines: path and class",
    reads: [.images, .classFile],
    recognizes: { path in
      guard isFile(path), !fileName(path).hasPrefix("LOC_"),
        [".txt", ".csv", ".lst", ".tsv"].contains(where: { path.lowercased().hasSuffix($0) })
      else {
        return false
      }
      return (try? ListFile(path))?.entries.allSatisfy {
        isImageName(fileName($0.path)) || !fileName($0.path).contains(".")
      }
        ?? false
    },
    read: { request in
      let list = try ListFile(request.path)
      let root = request.images(else: folder(of: request.path))
      let labels = Set(list.entries.compactMap(\.label)).sorted()
      let isNumbered = labels.allSatisfy { Int($0) != nil } && request.names == nil
      let (indices, words) =
        isNumbered
        ? ([:], "by the numbers in the list")
        : try request.classes(
          named: labels, what: "label")
      let samples = list.entries.map { path, label in
        let name = path.contains(".") ? path : path + ".jpg"
        return Sample(
          name: name, source: .file(joined(root, name)), truth: label.flatMap { isNumbered ? Int($0) : indices[$0] })
      }
      return DataSet(
        format: "list", path: request.path, samples: samples, classes: labels.isEmpty ? "not known" : words)
    })

  static func fileName(_ path: String) -> String {
    String(path.split(separator: "/", omittingEmptySubsequences: true).last ?? "")
  }

  /// What stands before the last "/".
  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
