import Images
import Models
import Tensors

/// Image files, read when they are looked at. Those that cannot be read are reported once and left out.
final class Shelf {
  private let paths: [String]
  private let reading: Reading
  private let line: ProgressLine
  private(set) var unread = Set<Int>()

  init(_ paths: [String], _ reading: Reading, _ line: ProgressLine) {
    self.paths = paths
    self.reading = reading
    self.line = line
  }

  var count: Int { paths.count }

  /// Throws at the end of the work where files were left out.
  func refuseUnread() throws {
    guard unread.isEmpty else { throw Failure(.io, "\(unread.count) of \(count) images could not be read") }
  }

  var images: ImageSet {
    ImageSet(count: paths.count) { index, body in
      try self.read(index)?.withView { try body(.pixels($0)) }
    }
  }

  private func read(_ index: Int) -> Image? {
    do {
      return try Image.read(paths[index], reading) { text in
        line.clear()
        Console.error("limpid: warning: \(quoted(paths[index])): \(text)\n")
      }
    } catch {
      if unread.insert(index).inserted {
        line.clear()
        Console.error("limpid: \(error)\n")
      }
      return nil
    }
  }
}
