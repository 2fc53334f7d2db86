import Documents
import Images
import Kernels
import Models
import Parallel
import Tensors

/// Calls `body` with the place of each image file, the file, the image, and the progress through it.
///
/// A file that cannot be read is reported and left out; the others go on, and at the end that is an error. Whatever
/// else fails stops it all. `unread` is told of each such file.
func forEachImage(
  _ paths: [String], _ reading: Reading, _ body: (Int, String, Image, Progress) throws -> Void,
  unread tell: (String, Failure) -> Void = { _, _ in }
) throws {
  let line = ProgressLine()
  defer { line.clear() }
  var unread = 0
  for (i, path) in paths.enumerated() {
    let progress = line.progress(path.printable).range(i..<i + 1, of: paths.count)
    try progress.advance(0, of: 1)
    let image: Image
    do {
      image = try Image.read(path, reading) { text in
        line.clear()
        Console.error("limpid: warning: \(quoted(path)): \(text)\n")
      }
    } catch let failure as Failure {
      // One file has only the message at the end.
      if paths.count == 1 { throw failure }
      line.clear()
      Console.error("limpid: \(failure)\n")
      tell(path, failure)
      unread += 1
      continue
    }
    try locating(quoted(path)) { try body(i, path, image, progress) }
  }
  if unread > 0 { throw Failure(.io, "\(unread) of \(paths.count) images could not be read") }
}

extension Model {
  /// A model file; Ctrl-C stops the load, and calls from then on.
  static func load(
    _ path: String, threads: Int? = nil, precision: Precision = .float32, _ given: CallOptions? = nil
  ) throws -> Model {
    var options = Options()
    options.threads = threads ?? 0
    options.preprocessing = given?.preprocessing
    options.refusesLinks = given?.refusesLinks ?? false
    options.precision = given?.precision ?? precision
    Interrupt.catchOnce()
    let progress = Progress { _, _ in !Interrupt.cancellation.isCancelled }
    do {
      return try Model(path: path.systemName, options: options, progress)
    } catch let failure as Failure where ![.notFound, .io, .cancelled].contains(failure.kind) {
      // What cannot be opened or read is named already.
      throw failure.at(quoted(path))
    }
  }

  /// The probabilities of one image's classes.
  func probabilities(_ image: Image, _ call: Call, _ progress: Progress) throws -> [Float] {
    Array(try image.withView { try classify([.pixels($0)], call.forScores, progress) })
  }
}
