import KernelCore

extension Kernels {
  /// Multiplications with additions a second that one core reaches in registers, now: the least time of a few tries.
  public var measuredPeak: Double {
    let rounds = 1 << 20
    var least = Double.infinity
    for _ in 0..<8 {
      let start = ContinuousClock.now
      let result = table.chains(rounds, 0.5, 0.25)
      let time = start.duration(to: .now).components
      precondition(result.isFinite)
      least = min(least, Double(time.seconds) + 1e-18 * Double(time.attoseconds))
    }
    return Double(rounds * table.chainWidth) / least
  }
}
