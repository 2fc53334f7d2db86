import CProcessor
import CThread
import Glibc
import Synchronization

/// Splits ranges over a number of threads. The calling thread takes part.
public struct Parallel: Sendable {
  public let threads: Int

  public init(threads: Int) { self.threads = max(1, threads) }

  public static let serial = Parallel(threads: 1)

  /// One thread per core that this process may use.
  public static var available: Parallel { Parallel(threads: Int(lp_available_cores())) }

  /// Calls `body` with disjoint ranges that together make `0..<count`, at least `grain` long but for the last,
  /// on up to `threads` threads, and returns when all have ended.
  ///
  /// Which thread takes which range is left open, so `body` must give the same result however the range is cut.
  public func forEach(_ count: Int, grain: Int = 1, _ body: (Range<Int>) -> Void) {
    guard count > 0 else { return }
    let grain = max(1, grain)
    let chunks = (count + grain - 1) / grain
    let workers = min(threads, chunks)
    guard workers > 1 else { return body(0..<count) }
    // Four turns a thread: enough for an idle thread to take over from a slow one.
    let size = max(grain, (count + workers * 4 - 1) / (workers * 4))
    let next = Atomic<Int>(0)
    together(helpers: workers - 1) {
      while true {
        let first = next.wrappingAdd(size, ordering: .relaxed).oldValue
        if first >= count { return }
        body(first..<min(count, first + size))
      }
    }
  }

  /// Runs `own` on this thread, and meanwhile `other` on the others that come in time, and returns when all have ended.
  public func run(_ own: () -> Void, with other: () -> Void) {
    guard threads > 1 else { return own() }
    let caller = pthread_self()
    together(helpers: threads - 1) { pthread_equal(pthread_self(), caller) != 0 ? own() : other() }
  }

  /// Runs `work` on this thread and on others at the same time.
  private func together(helpers: Int, _ work: () -> Void) {
    withoutActuallyEscaping(work) { work in
      var work = work
      withUnsafeMutablePointer(to: &work) { pointer in
        lp_together(
          Int32(clamping: helpers), { $0?.assumingMemoryBound(to: (() -> Void).self).pointee() }, pointer)
      }
    }
  }
}
