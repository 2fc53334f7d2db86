import Operators
import Parallel
import Tensors

/// Steps of which each reads the one before and nobody else does, run by bands of rows from end to end: what they hand
/// on stays in a core's cache, and no thread waits between them. Rows that the next band reads too are kept.
struct RowChain: Sendable {
  private struct Link {
    let step: RowStep
    /// Of the operands of the chain; after the first link, those of input 0 are the result of the one before.
    let inputs: Range<Int>
    /// Rows of its result that are kept for the next link, and from which byte of a thread's memory on. Of the last
    /// link none: these are the result.
    var capacity = 0
    var offset = 0

    var rowBytes: Int { 4 * step.outputFloats }
  }

  private let links: [Link]
  /// Rows of the result in one band.
  private let height: Int
  /// Of a thread's memory: all, and where the scratch memory of the steps begins.
  private let slotBytes, scratch: Int

  /// Steps with the number of their inputs. nil where not even one row at a time stays within `cacheBytes`.
  init?(_ steps: [(step: RowStep, inputCount: Int)], cacheBytes: Int) {
    var links: [Link] = []
    for (step, count) in steps {
      let first = links.last?.inputs.upperBound ?? 0
      links.append(Link(step: step, inputs: first..<first + count))
    }
    guard let last = links.last, links.count > 1 else { return nil }
    /// Lays out what `height` rows of the result read; the bytes that it takes.
    func layOut(_ height: Int) -> Int {
      var (rows, bytes) = (height, 0)
      for i in links.indices.dropFirst().reversed() {
        rows = links[i].step.mostRead(by: rows)
        (links[i - 1].capacity, links[i - 1].offset) = (rows, bytes)
        bytes += (rows * links[i - 1].rowBytes).roundedUp(to: 64)
      }
      return bytes
    }
    // Depthwise convolutions make two rows at a time.
    var (height, bytes) = (min(last.step.rows.roundedUp(to: 2), cacheBytes / 4), 0)
    repeat {
      height = max(1, height - 2)
      bytes = layOut(height)
    } while height > 1 && bytes > cacheBytes
    guard bytes <= cacheBytes else { return nil }
    (self.links, self.height, scratch) = (links, height, bytes)
    let work = links.map { link in (1...max(link.capacity, height)).map(link.step.workspace).max() ?? 0 }
    slotBytes = (bytes + (work.max() ?? 0)).roundedUp(to: 64)
  }

  /// Bytes that a run on so many threads needs.
  func workspace(threads: Int) -> Int { slotBytes * threads }

  func run(_ run: Invocation) {
    let last = links.count - 1
    let rows = links[last].step.rows
    let parts = min(rows, run.parallel.threads)
    run.parallel.forEachTask(parts) { part, slot in
      withUnsafeTemporaryAllocation(of: Range<Int>.self, capacity: last) { held in
        held.initialize(repeating: 0..<0)
        let end = rows * (part + 1) / parts
        for first in stride(from: rows * part / parts, to: end, by: height) {
          let band = first..<min(end, first + height)
          compute(
            last, band, into: run.outputs[0]! + first * links[last].rowBytes, run, run.workspace + slot * slotBytes,
            held)
        }
      }
    }
  }

  /// Rows of the result of link `i`. `held`: which rows each link before the last has in the memory of this thread.
  private func compute(
    _ i: Int, _ rows: Range<Int>, into output: UnsafeMutableRawPointer, _ run: Invocation,
    _ memory: UnsafeMutableRawPointer, _ held: UnsafeMutableBufferPointer<Range<Int>>
  ) {
    let link = links[i]
    let read = link.step.read(by: rows)
    if i > 0 { hold(read, of: i - 1, run, memory, held) }
    let inputs = link.inputs.enumerated().map { k, operand -> UnsafeRawPointer? in
      if k == 0, i > 0 { return UnsafeRawPointer(memory + links[i - 1].offset) }
      guard let floats = link.step.inputFloats[k] else { return run.inputs[operand] }
      return run.inputs[operand].map { $0 + 4 * floats * (k == 0 ? read : rows).lowerBound }
    }
    link.step.run(
      Invocation(inputs: inputs, outputs: [output], workspace: memory + scratch, parallel: .serial), rows)
  }

  /// Makes `rows` of the result of link `i` those that are there.
  private func hold(
    _ rows: Range<Int>, of i: Int, _ run: Invocation, _ memory: UnsafeMutableRawPointer,
    _ held: UnsafeMutableBufferPointer<Range<Int>>
  ) {
    let (place, rowBytes) = (memory + links[i].offset, links[i].rowBytes)
    let kept = held[i].clamped(to: rows)
    if !kept.isEmpty, kept.lowerBound > held[i].lowerBound {
      place.copyMemory(
        from: place + (kept.lowerBound - held[i].lowerBound) * rowBytes, byteCount: kept.count * rowBytes)
    }
    held[i] = rows
    let new = (kept.isEmpty ? rows.lowerBound : kept.upperBound)..<rows.upperBound
    if !new.isEmpty { compute(i, new, into: place + (new.lowerBound - rows.lowerBound) * rowBytes, run, memory, held) }
  }
}
