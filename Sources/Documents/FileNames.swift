import Glibc
import Tensors

/// Names of files in any bytes. What is no UTF-8 in them stands in a `String` as scalars of a private plane, byte by
/// byte, until the system gets the name back, or people see it.
extension String {
  private static let escapes: ClosedRange<UInt32> = 0x10FF80...0x10FFFF

  /// The bytes up to a NUL.
  public init(name: UnsafePointer<CChar>) {
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

  /// The name as the system knows it, with a NUL at its end. (`CChar` has a sign on x86-64, and none on ARM64.)
  public var systemName: [CChar] {
    unicodeScalars.flatMap { scalar in
      Self.escapes.contains(scalar.value) ? [UInt8(scalar.value - 0x10FF00)] : Array(UTF8.encode(scalar) ?? .init())
    }.map(CChar.init(truncatingIfNeeded:)) + [0]
  }

  /// As a word that a shell reads as these bytes: in quotes where they are needed, as `$'\xff'` where they are no text.
  public var shellWord: String {
    let plain = "-_./,:=@%+".unicodeScalars
    let isPlain = unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || $0.properties.numericType != nil || plain.contains($0)
    }
    if isPlain, !isEmpty { return self }
    let isText = unicodeScalars.allSatisfy {
      !Self.escapes.contains($0.value) && $0.properties.generalCategory != .control
    }
    if isText { return "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'" }
    let bytes = systemName.dropLast().map(UInt8.init(truncatingIfNeeded:))
    return "$'"
      + bytes.map { byte in
        let isSafe = (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "'") && byte != UInt8(ascii: "\\")
        return isSafe ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }.joined() + "'"
  }

  /// With U+FFFD for bytes that are no text.
  public var withoutEscapes: String {
    guard unicodeScalars.contains(where: { Self.escapes.contains($0.value) }) else { return self }
    return String(UnicodeScalarView(unicodeScalars.map { Self.escapes.contains($0.value) ? "\u{FFFD}" : $0 }))
  }
}

/// The names in a folder, sorted by their bytes; "." and ".." are left out. Throws `notFound` or `io`.
public func folderContents(_ path: String) throws -> [String] {
  guard let folder = opendir(path.systemName) else {
    let code = errno
    throw Failure(
      code == ENOENT ? .notFound : .io, "cannot read the folder \(quoted(path)): \(String(cString: strerror(code)))")
  }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(name: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
}

/// What the system says of a file.
public struct FileStatus {
  public let size: Int
  /// Nanoseconds since 1970.
  public let modified: Int
  public let isFolder: Bool
  public let isFile: Bool

  /// nil where there is none, or it may not be looked at.
  public init?(_ path: String) {
    var status = stat()
    guard stat(path.systemName, &status) == 0 else { return nil }
    size = Int(status.st_size)
    modified = Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec)
    isFolder = status.st_mode & S_IFMT == S_IFDIR
    isFile = status.st_mode & S_IFMT == S_IFREG
  }
}

public func isFolder(_ path: String) -> Bool { FileStatus(path)?.isFolder ?? false }
public func isFile(_ path: String) -> Bool { FileStatus(path)?.isFile ?? false }

/// Whatever follows the last "/".
public func lastComponent(_ path: String) -> String {
  String(path.split(separator: "/", omittingEmptySubsequences: false).last ?? "")
}

/// "a" and "b.png" → "a/b.png"; an absolute name stays.
public func joined(_ folder: String, _ name: String) -> String {
  folder.isEmpty || name.hasPrefix("/") ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}

/// Whether a name ends as those of the images that are read: PNG, JPEG and WebP files.
public func isImageName(_ name: String) -> Bool {
  let suffix = name.split(separator: ".", omittingEmptySubsequences: false).dropFirst().last?.lowercased() ?? ""
  return !name.hasPrefix(".") && ["png", "jpg", "jpeg", "webp"].contains(suffix)
}
