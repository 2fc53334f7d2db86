import Synchronization

/// Units `0..<count`, divided among workers: each takes from the front of its own share, and then of the others'. So a
/// worker has the same part of all values from step to step, while nothing delays it, and finds it in the cache of its
/// core; one that is left alone goes through all units in their order.
package struct Shares: ~Copyable {
  /// What is left of each share: the first unit, and in the upper half the end; a cache line apart.
  private let left: UnsafeMutablePointer<Atomic<UInt64>>
  private let workers: Int

  static let most = 1 << 31
  private static let stride = 64 / MemoryLayout<Atomic<UInt64>>.stride

  /// Calls `body` with the shares of at most `most` units.
  package static func with(_ count: Int, workers: Int, _ body: (borrowing Shares) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: 64 * workers, alignment: 64) { memory in
      guard let base = memory.baseAddress else { return }
      let left = base.bindMemory(to: Atomic<UInt64>.self, capacity: workers * stride)
      for i in 0..<workers {
        let (first, end) = (count * i / workers, count * (i + 1) / workers)
        (left + i * stride).initialize(to: Atomic(UInt64(end) << 32 | UInt64(first)))
      }
      body(Shares(left: left, workers: workers))
    }
  }

  private init(left: UnsafeMutablePointer<Atomic<UInt64>>, workers: Int) {
    self.left = left
    self.workers = workers
  }

  /// The next units of `worker`: one, or with `many` a quarter of what is left of its own share, a half of another's. nil
  /// where all are taken.
  package func take(_ worker: Int, many: Bool) -> Range<Int>? {
    for i in 0..<workers {
      let share = (worker + i) % workers
      let place = left + share * Shares.stride
      var now = place.pointee.load(ordering: .relaxed)
      while true {
        let (first, end) = (Int(now & 0xffff_ffff), Int(now >> 32))
        guard first < end else { break }
        let taken = !many ? 1 : i == 0 ? (end - first + 3) / 4 : (end - first + 1) / 2
        let range = first..<first + taken
        let (exchanged, found) = place.pointee.weakCompareExchange(
          expected: now, desired: UInt64(end) << 32 | UInt64(range.upperBound), ordering: .relaxed)
        if exchanged { return range }
        now = found
      }
    }
    return nil
  }
}
