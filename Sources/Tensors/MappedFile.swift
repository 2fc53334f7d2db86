import Glibc

/// A file that is open for reading.
struct RegularFile: ~Copyable {
  let descriptor: Int32
  /// How messages call it.
  let name: String
  let byteCount: Int
  private let isOwned: Bool

  /// `path` goes to the system as it is. Throws `notFound` or `io` with the system's reason.
  init(path: UnsafePointer<CChar>) throws {
    let name = quoted(path: path)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      throw Failure(code == ENOENT ? .notFound : .io, "cannot open \(name): \(String(cString: strerror(code)))")
    }
    do { byteCount = try Self.byteCount(descriptor, name) } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
    self.name = name
    isOwned = true
  }

  /// A file that somebody else closes.
  init(descriptor: Int32, name: String) throws {
    byteCount = try Self.byteCount(descriptor, name)
    self.descriptor = descriptor
    self.name = name
    isOwned = false
  }

  deinit { if isOwned { close(descriptor) } }

  private static func byteCount(_ descriptor: Int32, _ name: String) throws -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw Failure(.io, "cannot read \(name): \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let what = status.st_mode & S_IFMT == S_IFDIR ? "is a directory" : "is not a regular file"
      throw Failure(.io, "cannot read \(name): it \(what)")
    }
    return Int(status.st_size)
  }
}

/// A read-only memory map of a whole file. Where the file gets shorter, the system ends a process that reads beyond.
public final class MappedFile: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer

  /// `path` goes to the system as it is. Throws `notFound` or `io` with the system's reason.
  public convenience init(path: UnsafePointer<CChar>) throws { try self.init(RegularFile(path: path)) }

  /// Maps an open file, which may be closed afterwards; `name` is how messages call it.
  public convenience init(descriptor: Int32, name: String) throws {
    try self.init(RegularFile(descriptor: descriptor, name: name))
  }

  private init(_ file: consuming RegularFile) throws {
    guard file.byteCount > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let base = mmap(nil, file.byteCount, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let base, base != MAP_FAILED else {
      throw Failure(.io, "cannot map \(file.name): \(String(cString: strerror(errno)))")
    }
    bytes = UnsafeRawBufferPointer(start: base, count: file.byteCount)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }

  /// Gives the pages of `range` back to the system; reading them again brings them back from the file.
  public func release(_ range: UnsafeRawBufferPointer) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    guard let base = range.baseAddress else { return }
    let first = (Int(bitPattern: base) + page - 1) / page * page
    let end = (Int(bitPattern: base) + range.count) / page * page
    if end > first { madvise(UnsafeMutableRawPointer(bitPattern: first), end - first, MADV_DONTNEED) }
  }
}

extension Storage {
  /// The bytes of a file, read into memory, where they stay whatever becomes of the file. Throws as `MappedFile` does.
  public convenience init(path: UnsafePointer<CChar>) throws { try self.init(RegularFile(path: path)) }

  /// The same of an open file, which may be closed afterwards; `name` is how messages call it.
  public convenience init(descriptor: Int32, name: String) throws {
    try self.init(RegularFile(descriptor: descriptor, name: name))
  }

  private convenience init(_ file: consuming RegularFile) throws {
    try self.init(byteCount: file.byteCount)
    var count = 0
    while count < byteCount {
      let result = read(file.descriptor, base + count, byteCount - count)
      if result < 0 && errno == EINTR { continue }
      guard result >= 0 else { throw Failure(.io, "cannot read \(file.name): \(String(cString: strerror(errno)))") }
      guard result > 0 else { throw Failure(.io, "cannot read \(file.name): it became shorter meanwhile") }
      count += result
    }
  }
}
