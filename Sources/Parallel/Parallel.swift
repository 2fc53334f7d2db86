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
    forEachPart(count, grain: grain) { range, _ in body(range) }
  }

  /// As `forEach`, each time with the number of a slot that no other call has at that time: scratch memory can be divided
  /// by slots. There are as many slots as threads.
  public func forEachPart(_ count: Int, grain: Int = 1, _ body: (_ part: Range<Int>, _ slot: Int) -> Void) {
    guard count > 0 else { return }
    let grain = max(1, grain, count / Shares.most + 1)
    let units = (count + grain - 1) / grain
    let workers = min(threads, units)
    guard workers > 1 else { return body(0..<count, 0) }
    share(units, among: workers, many: true) { body($0.lowerBound * grain..<min(count, $0.upperBound * grain), $1) }
  }

  /// Calls `body` once for each task, with slots as above. Neighbouring tasks mostly have one slot.
  public func forEachTask(_ count: Int, _ body: (_ task: Int, _ slot: Int) -> Void) {
    let workers = min(threads, count)
    guard workers > 1, count <= Shares.most else {
      for task in 0..<max(0, count) { body(task, 0) }
      return
    }
    share(count, among: workers, many: false) { body($0.lowerBound, $1) }
  }

  private func share(_ units: Int, among workers: Int, many: Bool, _ body: (_ units: Range<Int>, _ worker: Int) -> Void)
  {
    Shares.with(units, workers: workers) { shares in
      let joined = Atomic<Int>(0)
      together(helpers: workers - 1) {
        let worker = joined.wrappingAdd(1, ordering: .relaxed).oldValue
        while let range = shares.take(worker, many: many) { body(range, worker) }
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
