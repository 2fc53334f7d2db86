import Glibc

/// How long the parts of something take, by a clock that only goes forward.
struct Stopwatch {
  private(set) var seconds: [(name: String, value: Double)] = []

  mutating func measure<R>(_ name: String, _ body: () throws -> R) rethrows -> R {
    let start = Self.now
    defer { seconds.append((name, Self.now - start)) }
    return try body()
  }

  private static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
