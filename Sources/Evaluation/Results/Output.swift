import Documents
import Glibc
public import Parallel
import Tensors

extension Evaluation {
  /// The files that results are written to: results.json (all), results.csv (a line for each method and metric),
  /// images.csv (for each image), curves.csv (where there are curves), timing.json, report.html (see `page`).
  private func files(
    _ summary: Summary, _ source: Source, _ progress: Progress
  ) -> [(name: String, text: () throws -> String)] {
    let curves = curveTable(summary)
    return [
      ("results.json", { try self.document(summary).document }), ("results.csv", { self.summaryTable(summary) }),
      ("images.csv", { try self.imageTable() }), ("timing.json", { self.timing().document }),
    ] + (curves.map { text in [("curves.csv", { text })] } ?? [])
      + [("report.html", { try self.page(summary, source, progress) })]
  }

  /// One of these. Throws `notFound`.
  public func file(named name: String, _ options: Summary.Options = Summary.Options()) throws -> [UInt8] {
    let files = files(try summary(options), Source(), .unwatched)
    guard let file = files.first(where: { $0.name == name }) else {
      throw Failure(
        .notFound,
        "the results have no document \(quoted(name)); they have \(files.map(\.name).joined(separator: ", "))")
    }
    return Array(try file.text().withoutEscapes.utf8)
  }

  /// Writes them into a folder, which is made where it does not exist.
  public func write(
    to folder: String, _ summary: Summary, _ source: Source = Source(), _ progress: Progress = .unwatched
  ) throws {
    try makeFolder(folder)
    for file in files(summary, source, progress) {
      var text = try file.text().withoutEscapes
      try text.withUTF8 { try writeFile(UnsafeRawBufferPointer($0), to: joined(folder, file.name).systemName) }
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
