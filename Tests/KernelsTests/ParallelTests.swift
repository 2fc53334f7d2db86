import Parallel
import Synchronization
import Testing

@Suite("Ranges over threads")
struct ParallelTests {
  @Test("Every index comes once, and no slot twice at a time", arguments: [1, 2, 3, 7])
  func coverage(threads: Int) {
    for (count, grain) in [(0, 1), (1, 1), (2, 1), (5, 2), (100, 1), (100, 7), (1000, 1), (1000, 2000), (4099, 3)] {
      let parallel = Parallel(threads: threads)
      let visits = Mutex([Int](repeating: 0, count: count))
      let busy = Mutex(Set<Int>())
      let slots = Mutex(Set<Int>())
      func inSlot(_ slot: Int, _ body: () -> Void) {
        #expect(busy.withLock { $0.insert(slot).inserted })
        slots.withLock { _ = $0.insert(slot) }
        body()
        busy.withLock { _ = $0.remove(slot) }
      }
      parallel.forEach(count, grain: grain) { range in visits.withLock { for i in range { $0[i] += 1 } } }
      parallel.forEachPart(count, grain: grain) { part, slot in
        #expect(!part.isEmpty && (part.count % grain == 0 || part.upperBound == count))
        inSlot(slot) { visits.withLock { for i in part { $0[i] += 1 } } }
      }
      parallel.forEachTask(count) { task, slot in inSlot(slot) { visits.withLock { $0[task] += 1 } } }
      #expect(visits.withLock { $0 } == [Int](repeating: 3, count: count))
      #expect(slots.withLock { $0.allSatisfy { (0..<threads).contains($0) } })
    }
  }

  @Test("A thread takes over what another one does not come to")
  func stealing() {
    let done = Atomic<Int>(0)
    Parallel(threads: 2).forEachTask(64) { task, _ in
      // Whoever has the first task keeps it until all others are done.
      let start = ContinuousClock.now
      while task == 0 && done.load(ordering: .relaxed) < 63 && start.duration(to: .now) < .seconds(20) {}
      if task == 0 { #expect(done.load(ordering: .relaxed) == 63) }
      done.wrappingAdd(1, ordering: .relaxed)
    }
    #expect(done.load(ordering: .relaxed) == 64)
  }
}
