import Glibc
public import Parallel
import Synchronization
import Tensors

extension Evaluation {
  /// Evaluates what is pending, `workers` images at once. `each` is told of each image, on this thread; what was found
  /// until a failure stays. The records are the same for any number of workers.
  ///
  /// Workers are threads, not processes: they share the model with its weights, and one of them dies with all others or
  /// not at all. Each keeps what it found at once, so the end of the process loses the images that were worked on, and
  /// no others.
  public func run(
    workers: Int = 1, _ progress: Progress,
    each: (_ done: Int, _ of: Int, _ record: Record) throws -> Void = { _, _, _ in }
  ) throws {
    let team = Team(self)
    var outcome: Result<Void, any Error> = .success(())
    Parallel(threads: min(max(1, workers), team.count)).run {
      outcome = Result { try team.lead(progress, each) }
      team.stop()
    } with: {
      clearReserve()
      team.help()
    }
    try outcome.get()
    try progress.advance(1, of: 1)
  }
}

/// The threads that evaluate: one that leads, on which the caller is told of progress, and those that help.
private final class Team {
  private struct State {
    var pending: ArraySlice<Int>
    /// Images that are being worked on.
    var working = 0
    var done = 0
    /// What the caller has not been told of.
    var untold: [Record] = []
    /// What went wrong beside an image: that nothing can be kept.
    var failure: (any Error)?
  }

  let count: Int
  private let evaluation: Evaluation
  private let state: Guarded<State>
  private let isStopped = Atomic<Bool>(false)

  init(_ evaluation: Evaluation) {
    self.evaluation = evaluation
    let pending = evaluation.pending
    count = pending.count
    state = Guarded(State(pending: pending[...]))
  }

  func stop() { isStopped.store(true, ordering: .relaxed) }

  /// Works, tells the caller what all have done, and waits for the others at the end.
  func lead(_ progress: Progress, _ each: (Int, Int, Record) throws -> Void) throws {
    while let index = take() {
      try evaluate(index, next(progress))
      try tell(each)
    }
    while state.withLock({ $0.working > 0 && $0.failure == nil }) {
      try next(progress).advance(0, of: 1)
      try tell(each)
      usleep(5000)
    }
    try tell(each)
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  /// Works until there is nothing left, or the leader stops.
  func help() {
    let progress = Progress { _, _ in !self.isStopped.load(ordering: .relaxed) }
    do {
      while !isStopped.load(ordering: .relaxed), let index = take() { try evaluate(index, progress) }
    } catch {
      state.withLock { $0.failure = $0.failure ?? error }
    }
  }

  /// The share of the call that the next image is.
  private func next(_ progress: Progress) -> Progress {
    let done = state.withLock { $0.done }
    return progress.range(done..<done + 1, of: count)
  }

  private func take() -> Int? {
    state.withLock { state in
      guard state.failure == nil else { return nil }
      while let index = state.pending.popFirst() {
        guard evaluation.isPending(index) else { continue }
        state.working += 1
        return index
      }
      return nil
    }
  }

  private func evaluate(_ index: Int, _ progress: Progress) throws {
    let found = Result { try evaluation.evaluate(index, progress) }
    try state.withLock { state in
      state.working -= 1
      let record = try found.get()
      try evaluation.add(record)
      state.done += 1
      state.untold.append(record)
    }
  }

  private func tell(_ each: (Int, Int, Record) throws -> Void) throws {
    let (records, done) = state.withLock { state in
      defer { state.untold = [] }
      return (state.untold, state.done)
    }
    for (i, record) in records.enumerated() { try each(done - records.count + i + 1, count, record) }
  }
}
