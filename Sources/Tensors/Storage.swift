import Glibc

/// A block of bytes: owned, or borrowed from an object that it keeps alive (a memory-mapped file).
///
/// Written only by whoever created it, before it is shared.
public final class Storage: @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  private let owner: AnyObject?

  /// 64-byte aligned, uninitialised. Throws where the system has no such memory.
  public init(byteCount: Int) throws {
    var pointer: UnsafeMutableRawPointer?
    guard byteCount >= 0, posix_memalign(&pointer, 64, max(64, byteCount)) == 0, let pointer else {
      throw Failure(.unsupported, "no memory for \(byteCount) bytes")
    }
    self.base = pointer
    self.byteCount = byteCount
    self.owner = nil
  }

  /// Bytes of something that lives as long as `owner`; never written.
  public init(borrowing bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    self.base = UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!)
    self.byteCount = bytes.count
    self.owner = owner
  }

  deinit { if owner == nil { free(base) } }

  public var isBorrowed: Bool { owner != nil }

  /// Gives the memory of some of these bytes back to the system where it can bring them back from a file.
  func release(_ range: UnsafeRawBufferPointer) { (owner as? MappedFile)?.release(range) }
}

/// A read-only memory map of a whole file.
public final class MappedFile: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer

  /// `path` goes to the system as it is. Throws `notFound` or `io` with the system's reason.
  public convenience init(path: UnsafePointer<CChar>) throws {
    let name = "\"\(String(cString: path))\""
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      throw Failure(code == ENOENT ? .notFound : .io, "cannot open \(name): \(String(cString: strerror(code)))")
    }
    defer { close(descriptor) }
    try self.init(descriptor: descriptor, name: name)
  }

  /// Maps an open file, which may be closed afterwards; `name` is how messages call it.
  public init(descriptor: Int32, name: String) throws {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw Failure(.io, "cannot read \(name): \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let what = status.st_mode & S_IFMT == S_IFDIR ? "is a directory" : "is not a regular file"
      throw Failure(.io, "cannot read \(name): it \(what)")
    }
    let size = Int(status.st_size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw Failure(.io, "cannot map \(name): \(String(cString: strerror(errno)))")
    }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
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
