// SPDX-License-Identifier: Apache-2.0
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
