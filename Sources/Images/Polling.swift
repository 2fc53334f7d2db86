// SPDX-License-Identifier: Apache-2.0
import CCodecs
import Parallel

/// Asks now and then, in work that has no steps of its own, whether to go on.
struct Polling {
  private let progress: Progress
  private var operations = 0
  /// Some hundredths of a second.
  private static let interval = 1 << 24

  init(_ progress: Progress) { self.progress = progress.polling }

  /// So many more products were computed. Throws `cancelled` where the caller asked to stop.
  mutating func count(_ more: Int) throws {
    operations += more
    guard operations >= Self.interval else { return }
    operations = 0
    try progress.advance(0, of: 1)
  }
}

/// Asks from within a codec, which works on a hundred bytes of pixels in the time of a thousand products.
final class CodecWatch {
  private var polling: Polling
  /// What the caller's answer, or want of memory, ended the call with.
  private(set) var failure: (any Error)?

  init(_ progress: Progress) { polling = Polling(progress) }

  /// For as long as this lives.
  var watch: lp_watch {
    lp_watch(
      advance: { context, bytes in
        // It is what stands below.
        let watch = Unmanaged<CodecWatch>.fromOpaque(context!).takeUnretainedValue()
        do { try watch.polling.count(8 * bytes) } catch {
          watch.failure = error
          return 1
        }
        return 0
      }, context: Unmanaged.passUnretained(self).toOpaque())
  }
}
