import Documents
import Tensors

/// Names of classes in their order, and which class a name is.
struct ClassNames {
  let names: [String]
  private let indices: [String: Int]

  init(_ names: [String]) throws {
    var indices: [String: Int] = [:]
    for (i, name) in names.enumerated() {
      guard indices.updateValue(i, forKey: name) == nil else {
        throw Failure(.invalidArgument, "the class \(quoted(name)) is named twice")
      }
    }
    self.names = names
    self.indices = indices
  }

  /// One name a line; what stands behind a tab, or behind a synset of WordNet, and blanks at the ends, do not count.
  init(file path: String) throws {
    let lines = try TextFile.lines(path).map { line in
      let name = String(line.split(separator: "\t", omittingEmptySubsequences: false).first ?? "").trimmed
      // "n01440764 tench, Tinca tinca"
      let word = name.prefix { !$0.isWhitespace }
      return word.count == 9 && word.first == "n" && word.dropFirst().allSatisfy(\.isNumber) ? String(word) : name
    }
    let names = lines.reversed().drop(while: \.isEmpty).reversed()
    guard !names.isEmpty else { throw Failure(.invalidArgument, "\(quoted(path)) names no classes") }
    self = try locating(quoted(path)) { try ClassNames(Array(names)) }
  }

  func index(of name: String) -> Int? { indices[name] }

  func required(_ name: String) throws -> Int {
    if let index = indices[name] { return index }
    throw Failure(.invalidArgument, "the class \(quoted(name)) is not among the \(names.count) that are named")
  }
}

extension DataRequest {
  /// Which class each of `found`, the names that a data set uses in their order, is: by the caller's file, else by the
  /// model's labels where these tell all, else by their order where there are as many as the model has classes.
  func classes(named found: [String], what: String) throws -> (indices: [String: Int], words: String) {
    if let names {
      var indices: [String: Int] = [:]
      for name in found {
        guard let index = names.index(of: name) else {
          throw Failure(.invalidArgument, "the \(what) \(quoted(name)) is not named in the file of classes")
        }
        indices[name] = index
      }
      return (indices, "by the file of classes")
    }
    if let indices = labelled(found) { return (indices, "by the model's labels") }
    let isNumbered = found.allSatisfy { Int($0) != nil }
    let ordered = found.enumerated().allSatisfy { Int($1) == $0 }
    if isNumbered, !ordered {
      throw Failure(
        .invalidArgument,
        "the \(what)s are numbers, but as text their order is another, and PyTorch's programs count by "
          + "that; say which class each is with a file of their names in order (the file of classes)")
    }
    guard options.firstClasses > 0 || classes.count == nil || classes.count == found.count else {
      throw Failure(
        .invalidArgument,
        "there are \(found.count) \(what)s, but the model has \(classes.count ?? 0) classes, and its "
          + "labels do not tell which; give a file of their names in order (the file of classes), or say that they are the "
          + "first classes")
    }
    return (
      Dictionary(uniqueKeysWithValues: found.enumerated().map { ($1, $0) }), "by the order of the \(what)s' names"
    )
  }

  /// Where every name is just one label of the model: the whole of it, or the first of several with commas between
  /// them; case, and "_" or "-" for a blank, do not count.
  private func labelled(_ found: [String]) -> [String: Int]? {
    guard !classes.labels.isEmpty else { return nil }
    var known: [String: Set<Int>] = [:]
    for (i, label) in classes.labels.enumerated() {
      known[Self.plain(label), default: []].insert(i)
      if let first = label.split(separator: ",").first { known[Self.plain(String(first)), default: []].insert(i) }
    }
    var indices: [String: Int] = [:]
    for name in found {
      guard let labels = known[Self.plain(name)], labels.count == 1, let index = labels.first else { return nil }
      indices[name] = index
    }
    return Set(indices.values).count == found.count ? indices : nil
  }

  private static func plain(_ name: String) -> String {
    String(name.lowercased().map { "_-".contains($0) ? " " : $0 }).trimmed
  }
}
