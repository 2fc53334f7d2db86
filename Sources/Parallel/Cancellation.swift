import Synchronization
public import Tensors

/// Set once to stop a long call; seen by every thread of that call.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)
  public init() {}
  public func cancel() { flag.store(true, ordering: .relaxed) }
  public var isCancelled: Bool { flag.load(ordering: .relaxed) }
}

/// Tells the caller of a long call how far it is, on the caller's own thread, and learns whether to go on.
public struct Progress {
  public static let cancelled = Failure(.cancelled, "the progress callback asked to stop")

  private let report: ((_ done: UInt64, _ total: UInt64) -> Bool)?

  /// `report` returns whether to go on.
  public init(_ report: ((_ done: UInt64, _ total: UInt64) -> Bool)? = nil) { self.report = report }

  /// Throws `cancelled` where the caller asked to stop.
  public func advance(_ done: Int, of total: Int) throws {
    if let report, !report(UInt64(done), UInt64(total)) { throw Self.cancelled }
  }

  /// Progress through one part of a larger call: items `range` of `count` like ones.
  public func range(_ range: Range<Int>, of count: Int) -> Progress {
    guard let report else { return self }
    return Progress { done, total in
      // In units that make every step of this part visible.
      report(UInt64(range.lowerBound) * total + UInt64(range.count) * done, UInt64(count) * total)
    }
  }
}
