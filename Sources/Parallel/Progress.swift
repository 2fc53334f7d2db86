public import Tensors

/// Tells the caller of a long call how far it is, on the caller's own thread, and learns whether to go on.
///
/// Nothing below the C boundary has a default for it, so that no pass can forget to ask. A call made of parts gives
/// each of them its own share: `range` for like items, `parts` for unequal ones, `polling` for what costs too little to
/// count but must stop.
public struct Progress {
  public static let cancelled = Failure(.cancelled, "the progress callback asked to stop")

  /// What `done` is counted in: hundred-thousandths of the whole call, however it is divided.
  static let total = 100_000

  private final class Reporter {
    let report: (_ done: UInt64, _ total: UInt64) -> Bool
    let profile: Profile?
    /// What was reported last; never goes back.
    var done = 0

    init(_ report: @escaping (_ done: UInt64, _ total: UInt64) -> Bool, _ profile: Profile? = nil) {
      self.report = report
      self.profile = profile
    }
  }

  private let reporter: Reporter?
  /// The share of the whole call that this is, between 0 and 1.
  private let start: Double
  private let end: Double

  private init(_ reporter: Reporter?, _ start: Double, _ end: Double) {
    self.reporter = reporter
    self.start = start
    self.end = end
  }

  /// `report` returns whether to go on.
  public init(_ report: @escaping (_ done: UInt64, _ total: UInt64) -> Bool) {
    self.init(Reporter(report), 0, 1)
  }

  /// Of calls that nobody watches or stops.
  public static var unwatched: Progress { Progress(nil, 0, 1) }

  /// Of a call that nobody stops, and whose steps are timed.
  public static func profiling(_ profile: Profile) -> Progress { Progress(Reporter({ _, _ in true }, profile), 0, 1) }

  /// Runs one step of a plan, and notes its time where this is the progress of a profile.
  public func timing(_ step: @autoclosure () -> Profile.Step, _ multiplyAdds: Int, _ run: () throws -> Void) rethrows {
    guard let profile = reporter?.profile else { return try run() }
    let start = ContinuousClock.now
    try run()
    profile.add(step(), multiplyAdds, start.duration(to: .now))
  }

  /// Reports that `done` of `total` units of this part are done. Throws `cancelled` where the caller asked to stop, and
  /// where memory ran out meanwhile.
  public func advance(_ done: Int, of total: Int) throws {
    try checkReserve()
    guard let reporter else { return }
    let share = total > 0 ? min(1, max(0, Double(done) / Double(total))) : 1
    let now = start + (end - start) * share
    reporter.done = max(reporter.done, Int(now * Double(Self.total)))
    if !reporter.report(UInt64(reporter.done), UInt64(Self.total)) { throw Self.cancelled }
  }

  /// Items `range` of `count` like ones that this part is made of.
  public func range(_ range: Range<Int>, of count: Int) -> Progress {
    let (first, last) = (place(range.lowerBound, count), place(range.upperBound, count))
    return Progress(reporter, first, max(first, last))
  }

  /// The parts that this one is made of, in their order; `weights` are what they cost, in any unit.
  public func parts(_ weights: Double...) -> [Progress] { parts(weights) }

  public func parts(_ weights: [Double]) -> [Progress] {
    let sum = weights.reduce(0, +)
    var before = 0.0
    return weights.enumerated().map { i, weight in
      let first = sum > 0 ? start + (end - start) * (before / sum) : start
      before += weight
      let last = i == weights.count - 1 ? end : sum > 0 ? start + (end - start) * min(1, before / sum) : start
      return Progress(reporter, first, max(first, last))
    }
  }

  /// Asks whether to go on, and counts for nothing.
  public var polling: Progress { Progress(reporter, start, start) }

  private func place(_ item: Int, _ count: Int) -> Double {
    count <= 0 || item >= count ? end : start + (end - start) * (Double(max(0, item)) / Double(count))
  }
}
