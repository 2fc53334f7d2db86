import Documents
import Glibc
import Tensors

/// The images in `paths`: "-" stands for standard input, and of folders the PNG, JPEG and WebP files are taken, by
/// name.
func imageFiles(_ paths: [String]) throws -> [String] {
  guard paths.count(where: { $0 == "-" }) <= 1 else {
    throw Failure(.invalidArgument, "standard input (-) can be read once only")
  }
  return try paths.flatMap { path -> [String] in
    guard path != "-", isFolder(path) else { return [path] }
    let names = try folderContents(path).filter(isImageName)
    guard !names.isEmpty else { throw Failure(.notFound, "the folder \(quoted(path)) has no PNG, JPEG or WebP files") }
    return names.map { joined(path, $0) }
  }
}

/// All of standard input. Throws `io` where it cannot be read, or is longer than any image.
func readStandardInput() throws -> [UInt8] {
  let most = 1 << 30
  var bytes: [UInt8] = []
  var part = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(STDIN_FILENO, &part, part.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw Failure(.io, "cannot read standard input: \(String(cString: strerror(errno)))") }
    if count == 0 { return bytes }
    guard bytes.count + count <= most else { throw Failure(.io, "standard input is longer than \(most) bytes") }
    bytes += part[..<count]
  }
}
