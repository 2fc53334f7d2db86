// SPDX-License-Identifier: Apache-2.0
import Documents
import Tensors

/// What an opaque struct of the header points to. A handle owns one reference to its object.
protocol Handled: AnyObject {}

extension Handled {
  /// A new handle of this object, for the caller to free.
  func handle() -> OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  /// The object of a handle; nil for NULL.
  static func object(_ handle: OpaquePointer?) -> Self? {
    handle.map { Unmanaged<Self>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
  }

  /// The object of a handle that a caller must give.
  static func required(_ handle: OpaquePointer?, _ name: StaticString) throws -> Self {
    guard let object = object(handle) else { throw Failure(.invalidArgument, "\(name) is NULL") }
    return object
  }

  /// Ends a handle; NULL is allowed.
  static func free(_ handle: OpaquePointer?) {
    if let handle { Unmanaged<Self>.fromOpaque(UnsafeRawPointer(handle)).release() }
  }
}

/// A copy of elements at an address that stays the same, as C callers expect of what they borrow.
final class Pinned<Element: BitwiseCopyable>: @unchecked Sendable {
  let base: UnsafePointer<Element>
  let count: Int

  init(_ elements: some Collection<Element>) {
    let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(1, elements.count))
    _ = buffer.initialize(from: elements)
    base = UnsafePointer(buffer.baseAddress!)  // of one element or more
    count = elements.count
  }

  deinit { base.deallocate() }
}

typealias CText = Pinned<CChar>

extension Pinned where Element == CChar {
  /// A NUL would end it early.
  convenience init(_ text: String) {
    let isWhole = !text.utf8.contains(0)
    self.init(
      (isWhole ? text : String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value == 0 ? "\u{FFFD}" : $0 })))
        .utf8CString)
  }
  /// The bytes of a file's name.
  convenience init(name: String) { self.init(name.systemName) }
}

extension Array {
  /// The element that a C caller asks for; nil past the end.
  subscript(checked index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
