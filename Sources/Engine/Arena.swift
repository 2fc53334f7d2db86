/// Lays the buffers of a plan into one block of memory, so that buffers that live at the same time do not overlap.
///
/// Greedy by size (Pisarchyk and Lee, 2020, "Efficient Memory Management for Deep Neural Net Inference"): the largest
/// buffer first, each at the lowest offset that is free for its whole life.
struct Arena {
  struct Buffer {
    var byteCount: Int
    /// The steps that first write and last read it.
    var life: ClosedRange<Int>
  }

  /// The offset of each buffer, 64-byte aligned.
  private(set) var offsets: [Int]
  private(set) var byteCount = 0

  /// `ask` is called once in a while, and throws to stop.
  init(_ buffers: [Buffer], ask: () throws -> Void) rethrows {
    offsets = [Int](repeating: 0, count: buffers.count)
    var placed: [Int] = []
    let bySize = buffers.indices.sorted {
      (buffers[$1].byteCount, $0) < (buffers[$0].byteCount, $1)
    }
    for i in bySize where buffers[i].byteCount > 0 {
      if placed.count % 1024 == 1023 { try ask() }
      let size = (buffers[i].byteCount + 63) & ~63
      var offset = 0
      for other in placed where buffers[other].life.overlaps(buffers[i].life) {
        if offset + size <= offsets[other] { break }
        offset = max(offset, offsets[other] + ((buffers[other].byteCount + 63) & ~63))
      }
      offsets[i] = offset
      byteCount = max(byteCount, offset + size)
      var (position, end) = (0, placed.count)
      while position < end {
        let middle = (position + end) / 2
        if offsets[placed[middle]] > offset { end = middle } else { position = middle + 1 }
      }
      placed.insert(i, at: position)
    }
  }
}
