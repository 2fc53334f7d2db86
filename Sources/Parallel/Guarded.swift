import CThread
import Synchronization

/// A value that one thread at a time uses. In a child made by `fork` it is whole and free, whatever the parent's other
/// threads were doing.
///
/// `withLock` holds up a fork, so what it runs should be short, and call nothing of the caller's.
public struct Guarded<Value: ~Copyable>: ~Copyable, Sendable {
  private let mutex: Mutex<Value>

  public init(_ value: consuming sending Value) { mutex = Mutex(value) }

  public borrowing func withLock<Result: ~Copyable, E: Error>(
    _ body: (inout sending Value) throws(E) -> sending Result
  ) throws(E) -> sending Result {
    lp_enter_unforked()
    defer { lp_leave_unforked() }
    return try mutex.withLock { value throws(E) in
      // By the lock's address: to take the value's is to write to it, in the sanitizer's eyes.
      withUnsafePointer(to: mutex) { lp_took_lock($0) }
      defer { withUnsafePointer(to: mutex) { lp_gives_lock($0) } }
      return try body(&value)
    }
  }
}
