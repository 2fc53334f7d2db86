import Documents
import Evaluation
import Glibc
import Images
import Parallel
import Tensors

extension Image {
  /// An image file, or standard input where it is "-", as RGB.
  static func read(_ path: String, _ reading: Reading = Reading(), warn: (String) -> Void = { _ in }) throws -> Image {
    if path == "-" {
      let bytes = try readStandardInput()
      return try locating("standard input") {
        try bytes.withUnsafeBytes { try decode($0, as: reading, .unwatched, warn: warn) }
      }
    }
    let file = try Storage(path: path.systemName)
    return try locating(quoted(path)) { try file.withBytes { try decode($0, as: reading, .unwatched, warn: warn) } }
  }
}

/// Writes a whole file, and says so where it takes the place of another.
func writeFile(_ path: String, _ bytes: some Collection<UInt8>) throws {
  var status = stat()
  let isReplaced = stat(path.systemName, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  // Arrays and buffers lie in one piece.
  try bytes.withContiguousStorageIfAvailable { try writeFile(UnsafeRawBufferPointer($0), to: path.systemName) }
  if isReplaced { Console.error("limpid: \(quoted(path)) was there and is replaced\n") }
}

/// Makes the folders that `path` lies in. Throws `io` where no file can be made or written there: before the work, not
/// after it.
func prepareFile(_ path: String) throws {
  let parts = path.split(separator: "/", omittingEmptySubsequences: false)
  let folder = parts.count > 1 ? parts.dropLast().joined(separator: "/") + "/" : "."
  try makeFolder(folder)
  let isThere = access(path.systemName, F_OK) == 0
  let place = isThere ? path : folder
  guard access(place.systemName, W_OK) == 0 else {
    throw Failure(.io, "cannot write \(quoted(path)): \(String(cString: strerror(errno)))")
  }
}

/// "a/china.jpg" → "china"
func stem(of path: String) -> String {
  if path == "-" { return "stdin" }
  let name = lastComponent(path)
  guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return String(name) }
  return String(name[..<dot])
}

/// `text` as a part of a file name: without blanks, control characters and what shells and file systems treat
/// specially, and not too long.
func slug(_ text: String) -> String {
  let special = "/\\:*?\"'<>|".unicodeScalars
  let scalars = text.unicodeScalars.prefix(60).map { scalar -> Unicode.Scalar in
    let isBad =
      special.contains(scalar) || scalar.properties.isWhitespace
      || scalar.properties.generalCategory == .control
    return isBad ? "_" : scalar
  }
  return String(String.UnicodeScalarView(scalars))
}

/// Where a command puts its files: one file of a given name, or a folder in which no two get the same name.
struct Destination {
  /// ".png"
  let suffix: String
  private let folder: String
  private let file: String?
  private var used = Set<String>()

  /// `path` is a file where it ends in `suffix`, else a folder; nil: the current one.
  /// Throws `invalidArgument` for a file of another kind.
  init(_ path: String?, suffix: String) throws {
    self.suffix = suffix
    let path = path ?? "."
    if path.hasSuffix(suffix), !isFolder(path) {
      (folder, file) = (".", path)
    } else {
      guard isFolder(path) || !lastComponent(path).dropFirst().contains(".") else {
        throw Failure(
          .invalidArgument,
          "\(quoted(path)) is neither a name that ends in \(suffix) nor a folder (a new folder's name ends in /)")
      }
      (folder, file) = (path, nil)
    }
  }

  var isFile: Bool { file != nil }

  /// A path for `name`, which gets the suffix, and a number where the name is used.
  mutating func path(for name: String) -> String {
    if let file { return file }
    var free = name
    var number = 2
    while !used.insert(free).inserted {
      free = "\(name)-\(number)"
      number += 1
    }
    let prefix = folder == "." ? "" : folder.hasSuffix("/") ? folder : folder + "/"
    return prefix + free + suffix
  }

  /// Makes the folders where there are none yet.
  func prepare() throws { try file.map(prepareFile) ?? makeFolder(folder) }
}
