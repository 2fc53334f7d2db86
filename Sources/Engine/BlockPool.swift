import Parallel
import Tensors

/// The working memory of an engine's runs, kept between them, because the system hands out new memory slowly.
///
/// One pool for all plans: a caller that feeds ever other shapes keeps the memory of the largest run, not of each.
final class BlockPool: Sendable {
  /// Idle blocks, smallest first: as many as calls ran at once, but at most `capacity`.
  private let idle = Guarded<[Storage]>([])
  private static let capacity = 4

  /// A block of at least `byteCount` bytes that no other run uses now.
  func take(_ byteCount: Int) throws -> Storage {
    let found = idle.withLock { blocks -> Storage? in
      if let i = blocks.firstIndex(where: { $0.byteCount >= byteCount }) { return blocks.remove(at: i) }
      // The new block will serve instead of one that proved too small.
      _ = blocks.popLast()
      return nil
    }
    return try found ?? Storage(byteCount: byteCount)
  }

  func give(_ block: Storage) {
    idle.withLock { blocks in
      let place = blocks.firstIndex { $0.byteCount > block.byteCount } ?? blocks.count
      blocks.insert(block, at: place)
      if blocks.count > Self.capacity { blocks.removeFirst() }
    }
  }

  /// Bytes that wait for the next runs.
  var idleByteCount: Int { idle.withLock { $0.reduce(0) { $0 + $1.byteCount } } }
}
