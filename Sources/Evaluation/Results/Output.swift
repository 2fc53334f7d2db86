import Documents
import Glibc
import Tensors

extension Evaluation {
  /// Writes the results into a folder, which is made where it does not exist: results.json (all), results.csv (a line for
  /// each method and metric), images.csv (for each image), curves.csv (where there are curves), timing.json.
  public func write(to folder: String, _ options: Summary.Options = Summary.Options()) throws {
    try makeFolder(folder)
    let summary = try summary(options)
    var files = [
      ("results.json", try document(options).document), ("results.csv", summaryTable(summary)), ("images.csv", imageTable()),
      ("timing.json", timing().document),
    ]
    if let curves = curveTable(summary) { files.append(("curves.csv", curves)) }
    for (name, text) in files { try Self.replace(joined(folder, name), text) }
  }

  /// At no time is there half a file.
  private static func replace(_ path: String, _ text: String) throws {
    var text = text.withoutEscapes
    let part = path + ".part"
    try text.withUTF8 { try writeFile(UnsafeRawBufferPointer($0), to: part.systemName) }
    guard rename(part.systemName, path.systemName) == 0 else {
      throw Failure(.io, "cannot write \(quoted(path)): \(String(cString: strerror(errno)))")
    }
  }
}

/// Makes a folder, and those above it, where there is none.
public func makeFolder(_ path: String) throws {
  guard !isFolder(path), !path.isEmpty else { return }
  let parts = path.split(separator: "/", omittingEmptySubsequences: true)
  var above = path.hasPrefix("/") ? "/" : ""
  for part in parts {
    above = joined(above, String(part))
    guard isFolder(above) || mkdir(above.systemName, 0o777) == 0 || errno == EEXIST && isFolder(above) else {
      throw Failure(.io, "cannot make the folder \(quoted(above)): \(String(cString: strerror(errno)))")
    }
  }
}
