import Parallel
import Testing

@Suite("Ranges over threads")
struct ParallelTests {
  @Test("Every index comes once, and no slot twice at a time", arguments: [1, 2, 3, 7])
  func coverage(threads: Int) {
    for (count, grain) in [(0, 1), (1, 1), (2, 1), (5, 2), (100, 1), (100, 7), (1000, 1), (1000, 2000), (4099, 3)] {
      let parallel = Parallel(threads: threads)
      let visits = Guarded([Int](repeating: 0, count: count))
      let busy = Guarded(Set<Int>())
      let slots = Guarded(Set<Int>())
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

  @Test("A thread takes its own share, then another's, both from the front")
  func shares() {
    func taken(_ count: Int, by worker: Int, many: Bool) -> [Range<Int>] {
      var ranges: [Range<Int>] = []
      Shares.with(count, workers: 2) { shares in
        while let range = shares.take(worker, many: many) { ranges.append(range) }
      }
      return ranges
    }
    #expect(taken(9, by: 0, many: false).map(\.lowerBound) == [0, 1, 2, 3, 4, 5, 6, 7, 8])
    #expect(taken(9, by: 1, many: false).map(\.lowerBound) == [4, 5, 6, 7, 8, 0, 1, 2, 3])
    #expect(taken(9, by: 0, many: false).allSatisfy { $0.count == 1 })
    #expect(
      taken(16, by: 0, many: true)
        == [0..<2, 2..<4, 4..<5, 5..<6, 6..<7, 7..<8, 8..<12, 12..<14, 14..<15, 15..<16])
  }
}
