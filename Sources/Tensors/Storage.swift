import CReserve
import Glibc

/// Throws where Swift's own containers met a system without memory since this thread asked last. They then lie in a
/// reserve, and what is being computed is to end while that lasts.
public func checkReserve() throws {
  if lp_took_reserve() != 0 { throw Failure(.unsupported, "the system has no memory") }
}

/// Forgets what an earlier call of this thread's host met.
public func clearReserve() { _ = lp_took_reserve() }

/// Throws where the system has no memory for `count` times `size` bytes: what Swift's own containers are about to hold,
/// which end the process where they want more than the reserve has. The bytes are given back at once; should another
/// thread take them first, there is the reserve.
public func requireMemory(_ count: Int, of size: Int = 1) throws {
  let (byteCount, overflow) = count.multipliedReportingOverflow(by: size)
  _ = try Storage(byteCount: overflow ? .max : byteCount)
}

/// A block of bytes: owned, or borrowed from an object that it keeps alive (a memory-mapped file).
///
/// Written only by whoever created it, before it is shared.
public final class Storage: @unchecked Sendable {
  /// Valid as long as this lives.
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  private let owner: AnyObject?

  /// Weights are read in streams, with many pages at once: where each takes a translation of its own, that is what takes
  /// the time.
  private static let hugePage = 2 << 20

  /// 64-byte aligned, uninitialised. Throws where the system has no such memory.
  public init(byteCount: Int) throws {
    try checkReserve()
    var pointer: UnsafeMutableRawPointer?
    let isLarge = byteCount >= Self.hugePage
    guard byteCount >= 0, posix_memalign(&pointer, isLarge ? Self.hugePage : 64, max(64, byteCount)) == 0, let pointer
    else { throw Failure(.unsupported, "no memory for \(byteCount) bytes") }
    // A wish: where the system has no such pages, nothing changes. The rest of a page stays in small ones.
    if isLarge { madvise(pointer, byteCount / Self.hugePage * Self.hugePage, MADV_HUGEPAGE) }
    self.base = pointer
    self.byteCount = byteCount
    self.owner = nil
  }

  /// Memory of C's `malloc`.
  init(adopting base: UnsafeMutableRawPointer, byteCount: Int) {
    self.base = base
    self.byteCount = byteCount
    self.owner = nil
  }

  /// Bytes of something that lives as long as `owner`; never written.
  public init(borrowing bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    self.base = UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!)
    self.byteCount = bytes.count
    self.owner = owner
  }

  /// `byteCount` bytes of this, from `offset` on, which stay alive with it; whoever uses this may write them.
  public func part(from offset: Int, byteCount: Int) throws -> Storage {
    guard offset >= 0, byteCount >= 0, offset <= self.byteCount - byteCount else {
      throw Failure(.internal, "\(byteCount) bytes from \(offset) on, of \(self.byteCount)")
    }
    return Storage(borrowing: UnsafeRawBufferPointer(start: base + offset, count: byteCount), owner: self)
  }

  /// The bytes of a mapped file.
  public convenience init(mapping file: MappedFile) { self.init(borrowing: file.bytes, owner: file) }

  deinit { if owner == nil { free(base) } }

  public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(start: base, count: byteCount)) }
  }

  public var isBorrowed: Bool { owner != nil }

  /// Gives the memory of some of these bytes back to the system where it can bring them back from a file.
  func release(_ range: UnsafeRawBufferPointer) { (owner as? MappedFile)?.release(range) }
}
