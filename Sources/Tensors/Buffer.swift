/// Elements in memory that the system may refuse: an array's allocation ends the process where there is none, this one
/// throws. For what is as large as an image, a map, a result or a caller's count.
///
/// Written only while it is made.
public struct Buffer<Element: BitwiseCopyable & Sendable>: RandomAccessCollection, Sendable {
  @usableFromInline let storage: Storage
  public let count: Int

  /// `count` elements, all of which `write` sets. Throws where there is no memory for them.
  public init(count: Int, _ write: (UnsafeMutablePointer<Element>) throws -> Void) throws {
    let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    storage = try Storage(byteCount: overflow ? .max : size)
    self.count = count
    try write(storage.base.assumingMemoryBound(to: Element.self))
  }

  public init(_ elements: some Collection<Element>) throws {
    try self.init(count: elements.count) { target in
      _ = UnsafeMutableBufferPointer(start: target, count: elements.count).initialize(from: elements)
    }
  }

  init(storage: Storage, count: Int) {
    self.storage = storage
    self.count = count
  }

  /// Memory of C's `malloc`, which is given back with the last copy of this.
  public init(adopting base: UnsafeMutablePointer<Element>, count: Int) {
    storage = Storage(adopting: base, byteCount: count * MemoryLayout<Element>.stride)
    self.count = count
  }

  @inlinable public var startIndex: Int { 0 }
  @inlinable public var endIndex: Int { count }

  /// Valid as long as a copy of this lives.
  @inlinable public var base: UnsafePointer<Element> {
    UnsafePointer(storage.base.assumingMemoryBound(to: Element.self))
  }

  @inlinable public subscript(index: Int) -> Element {
    precondition(index >= 0 && index < count)
    return base[index]
  }

  @inlinable public func withUnsafeBufferPointer<R>(_ body: (UnsafeBufferPointer<Element>) throws -> R) rethrows -> R {
    try withExtendedLifetime(storage) { try body(UnsafeBufferPointer(start: base, count: count)) }
  }

  @inlinable public func withContiguousStorageIfAvailable<R>(
    _ body: (UnsafeBufferPointer<Element>) throws -> R
  ) rethrows -> R? {
    try withUnsafeBufferPointer(body)
  }
}

extension Buffer: Equatable where Element: Equatable {
  public static func == (a: Buffer, b: Buffer) -> Bool { a.elementsEqual(b) }
}
