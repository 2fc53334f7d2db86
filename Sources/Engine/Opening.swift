import Operators
import Parallel
import Synchronization
import Tensors

/// The first steps of a plan for several images, made for one: image by image what they read and write stays in the
/// caches, and each thread takes images of its own, without waiting for others between the steps. The bits are those
/// of all images at once.
struct Opening: Sendable {
  /// Of one image.
  let plan: Plan
  /// At least as many as threads.
  let images: Int
  /// Which feeds have a part for each image; the others are the same for all.
  let isDivided: [Bool]
  /// What the other steps read: where it lies for one image and, in the memory of those, for all.
  let results: [(source: Int, target: Int, byteCount: Int)]

  /// Images that run at the same time, each on one thread.
  private var slots: Int { plan.parallel.threads }
  /// Bytes of working memory, beside that of the other steps.
  var byteCount: Int { slots * slotByteCount }
  private var slotByteCount: Int { plan.byteCount.roundedUp(to: 64) }

  /// `block` holds the memory of the other steps, then from `offset` on that of the images; `total` counts all steps.
  /// `progress` is asked on the calling thread, before each step of its images.
  func run(_ feeds: [Tensor], _ block: Storage, offset: Int, of total: Int, _ progress: Progress) throws {
    let blocks = try (0..<slots).map { slot in
      try block.part(from: offset + slot * slotByteCount, byteCount: slotByteCount)
    }
    func run(_ image: Int, in slot: Int, _ parallel: Parallel, copies: Int, _ progress: Progress) throws {
      try plan.run(
        plan.steps.indices, of: total, before: image * plan.steps.count, try feedsOfOne(feeds, image), blocks[slot],
        progress, parallel, copies: copies)
      for result in results {
        (block.base + result.target + image * result.byteCount)
          .copyMemory(from: blocks[slot].base + result.source, byteCount: result.byteCount)
      }
    }
    // What is left over when all threads have had as many runs on all threads.
    let shared = slots > 1 ? images - images % slots : 0
    let next = Atomic<Int>(0)
    let failure = Guarded<(any Error)?>(nil)
    func take(_ slot: Int, _ progress: Progress) {
      while failure.withLock({ $0 == nil }) {
        let image = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard image < shared else { return }
        do {
          try run(image, in: slot, .serial, copies: slots, progress)
        } catch { failure.withLock { $0 = $0 ?? error } }
      }
    }
    if shared > 0 {
      let others = Atomic<Int>(1)
      Parallel(threads: slots).run({ take(0, progress) }) {
        // What this thread met in another call was that call's.
        clearReserve()
        take(others.wrappingAdd(1, ordering: .relaxed).oldValue, .unwatched)
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    for image in shared..<images { try run(image, in: 0, plan.parallel, copies: 1, progress) }
  }

  private func feedsOfOne(_ feeds: [Tensor], _ image: Int) throws -> [Tensor] {
    try feeds.indices.map { i in
      guard isDivided[i] else { return feeds[i] }
      let shape = plan.feeds[i].shape
      let byteCount = shape.count * feeds[i].type.byteCount
      return try Tensor(
        feeds[i].type, shape, storage: feeds[i].storage, byteOffset: feeds[i].byteOffset + image * byteCount)
    }
  }
}
