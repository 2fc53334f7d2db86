import Glibc
import Tensors

/// Names of files in any bytes. What is no UTF-8 in them stands in a `String` as scalars of a private plane, byte by
/// byte, until the system gets the name back, or people see it.
extension String {
  private static let escapes: ClosedRange<UInt32> = 0x10FF80...0x10FFFF

  /// The bytes up to a NUL.
  init(name: UnsafePointer<CChar>) {
    if let text = String(validatingCString: name) {
      self = text
      return
    }
    let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
    var scalars = UnicodeScalarView()
    var start = 0
    while start < bytes.count {
      let length = (1...4).first { length in
        start + length <= bytes.count && String(validating: bytes[start..<start + length], as: UTF8.self) != nil
      }
      if let length {
        scalars += String(decoding: bytes[start..<start + length], as: UTF8.self).unicodeScalars
      } else if let escape = Unicode.Scalar(0x10FF00 + UInt32(bytes[start])) {
        scalars.append(escape)
      }
      start += length ?? 1
    }
    self.init(scalars)
  }

  /// The name as the system knows it, with a NUL at its end.
  var systemName: [CChar] {
    unicodeScalars.flatMap { scalar in
      Self.escapes.contains(scalar.value) ? [UInt8(scalar.value - 0x10FF00)] : Array(UTF8.encode(scalar) ?? .init())
    }.map(CChar.init(bitPattern:)) + [0]
  }

  /// With U+FFFD for bytes that are no text.
  var withoutEscapes: String {
    guard unicodeScalars.contains(where: { Self.escapes.contains($0.value) }) else { return self }
    return String(UnicodeScalarView(unicodeScalars.map { Self.escapes.contains($0.value) ? "\u{FFFD}" : $0 }))
  }
}

/// The images in `paths`: "-" stands for standard input, and of folders the PNG and JPEG files are taken, by name.
func imageFiles(_ paths: [String]) throws -> [String] {
  guard paths.count(where: { $0 == "-" }) <= 1 else {
    throw Failure(.invalidArgument, "standard input (-) can be read once only")
  }
  return try paths.flatMap { path -> [String] in
    guard path != "-", isFolder(path) else { return [path] }
    guard let folder = opendir(path.systemName) else {
      throw Failure(.io, "cannot read the folder \(quoted(path)): \(String(cString: strerror(errno)))")
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(name: $0) }
      }
      let suffix = name.split(separator: ".", omittingEmptySubsequences: false).dropFirst().last?.lowercased() ?? ""
      if !name.hasPrefix("."), ["png", "jpg", "jpeg"].contains(suffix) { names.append(name) }
    }
    guard !names.isEmpty else { throw Failure(.notFound, "the folder \(quoted(path)) has no PNG or JPEG files") }
    return names.sorted().map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
  }
}

func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path.systemName, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
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
