public import Documents
import Images
public import Models
public import Parallel
import Synchronization
import Tensors

/// A plan, on a data set: what is done with each image, what was found so far, and what that comes to.
///
/// Any thread may use it, whatever the others do with it. What is summed up meanwhile is what was found by then.
public final class Evaluation {
  public let model: Model
  public let plan: Plan
  /// The plan and the model, as results have them.
  public let settings: JSON
  /// Names them.
  public let fingerprint: String
  /// Of what is kept beside the model, where methods read that.
  private let statistics: String?
  /// What changes, and the lock that it is behind.
  private var state: State
  private let turn = Guarded(())
  /// Of samples whose files the caller gave when they were evaluated.
  let given = Guarded(GivenImages())
  /// One thread at a time asks for them.
  private let asking = Mutex<Void>(())
  private let told = Mutex(false)
  /// Told, on whichever thread, where images may not be what was meant.
  public var warn: (@Sendable (String) -> Void)?

  private struct State {
    var data: DataSet
    var files: (@Sendable (_ index: Int) throws -> [UInt8]?)?
    var records: [Int: Record] = [:]
    var totals: Totals
    var store: Store?
    /// Which samples have a key: several where a list names an image twice.
    var places: [String: [Int]] = [:]

    func isPending(_ index: Int) -> Bool { records[index].map { $0.failure != nil } ?? true }
  }

  public init(_ model: Model, _ plan: Plan, _ data: DataSet) throws {
    self.model = model
    self.plan = plan
    state = State(data: data, totals: Totals(plan))
    statistics = try plan.digestOfStatistics(model)
    settings = try plan.json(model)
    fingerprint = String(Digest(settings.line).text.prefix(32))
    for (i, sample) in data.samples.enumerated() { state.places[sample.key, default: []].append(i) }
    if let use = plan.scoreMetrics.first, isOfValues {
      throw Failure(
        .invalidArgument,
        "the metric \(quoted(use.name)) compares classes, but the model's output holds values, of which none is true")
    }
    guard data.format != DataSet.memory else { return }
    try check(data)
  }

  /// Short, and without a call of the caller's: it holds up the others, and forks.
  private func withState<R: Sendable>(_ body: (inout State) throws -> R) rethrows -> R {
    try turn.withLock { _ in try body(&state) }
  }

  public var data: DataSet { withState { $0.data } }
  /// Gives the file of a sample whose bytes the caller has; nil for one that the data set can read itself.
  public var files: (@Sendable (_ index: Int) throws -> [UInt8]?)? {
    get { withState { $0.files } }
    set { withState { $0.files = newValue } }
  }
  /// What was found, by sample; failed ones too.
  public var records: [Int: Record] { withState { $0.records } }
  /// What is not kept with every record.
  var totals: Totals { withState { $0.totals } }

  /// Before anything runs, what the data set lacks.
  private func check(_ data: DataSet) throws {
    if case .table(let table) = plan.target, let bad = table.first(where: { $0 < 0 || $0 >= classCount ?? Int.max }) {
      throw Failure(
        .invalidArgument, "the table of classes to explain names class \(bad), which the model does not have")
    }
    if !data.hasTruth {
      if plan.target.needsTruth {
        throw Failure(
          .invalidArgument, "the true class is to be explained, but the data set says of no image what is true")
      }
      if let use = plan.scoreMetrics.first {
        throw Failure(.invalidArgument, "the metric \(quoted(use.name)) needs true classes, but the data set has none")
      }
    }
    for use in plan.explanationMetrics where use.reads("words") && !data.namesThings {
      throw Failure(
        .invalidArgument,
        "the metric \(quoted(use.name)) needs to know what is in the images, in words, which a data set of "
          + "format \(quoted(data.format)) does not say; coco and voc do")
    }
    for use in plan.explanationMetrics
    where !use.reads("words") && use.call.draws["boxes"] == nil && use.call.draws["mask"] == nil {
      let reads = (boxes: use.reads("boxes"), masks: use.reads("mask"))
      guard reads.boxes || reads.masks, !(reads.boxes && data.hasBoxes), !(reads.masks && data.hasMasks) else {
        continue
      }
      throw Failure(
        .invalidArgument,
        "the metric \(quoted(use.name)) needs to know where objects are, but a data set of format "
          + "\(quoted(data.format)) has no boxes" + (reads.masks ? " and no masks" : "")
          + (data.namesThings ? " of one class where words are judged too: take another run for it" : ""))
    }
  }

  /// Adds a sample whose bytes the caller has. Returns its index.
  public func add(_ sample: Sample) throws -> Int {
    if let truth = sample.truth {
      guard truth >= 0, truth < classCount ?? Int.max else {
        throw Failure(.invalidArgument, "\(quoted(sample.name)): there is no class \(truth)")
      }
    }
    return withState { state in
      state.data.samples.append(sample)
      state.places[sample.key, default: []].append(state.data.samples.count - 1)
      return state.data.samples.count - 1
    }
  }

  /// Says in words what each box of a sample of the caller's is.
  public func name(_ index: Int, _ words: [String]) throws {
    let sample = try sample(index)
    let boxes = sample.boxes ?? []
    guard boxes.count == words.count else {
      throw Failure(
        .invalidArgument,
        "\(words.count) words for the \(boxes.count) boxes of \(quoted(sample.name)); give one for each")
    }
    withState { state in
      state.places[state.data.samples[index].key]?.removeAll { $0 == index }
      state.data.samples[index].things = zip(words, boxes).map { Thing(name: $0, box: $1) }
      state.places[state.data.samples[index].key, default: []].append(index)
    }
  }

  /// Says of a sample's file what is another text where the file is another, by which a store tells whether its record
  /// holds still.
  public func stamp(_ index: Int, _ stamp: String) throws {
    let key = try sample(index).key
    // A store that is open may have its record.
    let bytes = try withState { state in
      state.data.samples[index].givenStamp = stamp
      return state.isPending(index) ? try state.store?.record(key, stamp: stamp) : nil
    }
    if let bytes { _ = try bytes.withUnsafeBytes { try take(Record($0, of: plan, fingerprint)) } }
  }

  /// Whether the model gives values in place of scores of classes, of which none is true.
  var isOfValues: Bool { (try? model.requiredScores(plan.call.output))?.kind == .values }
  var classCount: Int? { (try? model.requiredScores(plan.call.output))?.classCount }

  /// The record of sample `index`. What is wrong with the image, or with explaining it, becomes a record of a failure.
  ///
  /// - Parameters:
  ///   - bytes: its file, where the caller has it; nil: the data set's
  /// - Throws: `cancelled`, `notFound` for no sample
  public func evaluate(_ index: Int, bytes: UnsafeRawBufferPointer? = nil, _ progress: Progress) throws -> Record {
    let sample = try sample(index)
    try checkStatistics()
    var clock = Stopwatch()
    do {
      let image = try clock.measure("read") {
        try bytes.map { bytes in
          try locating(quoted(sample.name)) {
            try decoded(bytes, as: isDeep(index) ? Reading(deep: .kept) : plan.reading, progress.polling)
          }
        }
          ?? self.image(index, progress.polling)
      }
      let record = try Examination(self, sample, image).record(&clock, progress)
      if let bytes { wait(index, .file(Array(bytes))) }
      return record
    } catch let failure as Failure where failure.kind != .cancelled {
      return try self.failure(index, failure.message, clock)
    }
  }

  /// The same of an image that the caller has in memory.
  public func evaluate(_ index: Int, _ image: Image, _ progress: Progress) throws -> Record {
    let sample = try sample(index)
    try checkStatistics()
    var clock = Stopwatch()
    do {
      let record = try Examination(self, sample, image).record(&clock, progress)
      wait(index, .pixels(image))
      return record
    } catch let failure as Failure where failure.kind != .cancelled {
      return try self.failure(index, failure.message, clock)
    }
  }

  private func checkStatistics() throws {
    guard try plan.digestOfStatistics(model) == statistics else {
      throw Failure(
        .invalidArgument,
        "what is usual for the model's layers was estimated anew since this evaluation was made; make it anew")
    }
  }

  /// Where nobody can be asked for it again.
  private func wait(_ index: Int, _ source: GivenImages.Source) {
    guard files == nil, case .caller? = try? sample(index).source else { return }
    given.withLock { $0.wait(index, source) }
  }

  /// The record of a sample that cannot be evaluated.
  public func failure(_ index: Int, _ reason: String) throws -> Record { try failure(index, reason, Stopwatch()) }

  private func failure(_ index: Int, _ reason: String, _ clock: Stopwatch) throws -> Record {
    let sample = try sample(index)
    return Record(
      name: sample.name, truth: sample.truth, key: sample.key, fingerprint: fingerprint, outcome: .failed(reason),
      seconds: clock.seconds)
  }

  func image(_ index: Int, _ progress: Progress) throws -> Image {
    let sample = try sample(index)
    let given = try files.flatMap { files in
      try locating(quoted(sample.name)) { try asking.withLock { _ in try files(index) } }
    }
    let kept = given.map { GivenImages.File(bytes: $0, isDeep: isDeep(index)) } ?? self.given.withLock { $0[index] }
    guard let file = kept else { return try sample.image(plan.reading, progress, warn: tell) }
    let reading = file.isDeep ? Reading(deep: .kept) : plan.reading
    return try file.bytes.withUnsafeBytes { bytes in
      try locating(quoted(sample.name)) { try decoded(bytes, as: reading, progress) }
    }
  }

  private func isDeep(_ index: Int) -> Bool { given.withLock { $0.deep.contains(index) } }

  private func decoded(_ bytes: UnsafeRawBufferPointer, as reading: Reading, _ progress: Progress) throws -> Image {
    try Image.decode(bytes, as: reading, progress, warn: tell)
  }

  /// Tells of what is lost by how an image is read; of one image, since thousands are often of one kind.
  private func tell(_ text: String) {
    let isFirst = told.withLock { told in
      defer { told = true }
      return !told
    }
    if isFirst { warn?("\(text) (said of the first such image only)") }
  }

  func sample(_ index: Int) throws -> Sample {
    try withState { state in
      guard state.data.samples.indices.contains(index) else {
        throw Failure(.notFound, "there is no sample \(index); there are \(state.data.samples.count)")
      }
      return state.data.samples[index]
    }
  }

  /// From now on keeps records in a file, and takes those that it has of samples whose files have not changed since.
  /// Throws `invalidArgument` where it keeps an evaluation with other settings, `unsupported` where SQLite is not
  /// installed.
  public func open(store path: String) throws {
    let opened = try Store(path, fingerprint: fingerprint, settings: settings)
    try opened.forEach { key, stamp, bytes in
      let sample = withState { state in state.places[key]?.first.map { state.data.samples[$0] } }
      guard let sample, stamp == sample.stamp else { return }
      _ = try locating("the store \(quoted(path))") { try take(Record(bytes, of: plan, fingerprint)) }
    }
    withState { $0.store = opened }
  }

  /// Takes a record down, and keeps it in the store. A sample that has one keeps it, unless that is of a failure.
  public func add(_ record: Record) throws {
    let indices = try take(record)
    for index in indices {
      if let source = given.withLock({ $0.take(index) }) { try offer(index, source) }
    }
    guard let first = indices.first else { return }
    let stamp = try sample(first).stamp
    try withState { try $0.store?.put(record, stamp: stamp) }
  }

  /// Returns the samples that the record is new for.
  private func take(_ record: Record) throws -> [Int] {
    try withState { state in
      guard let indices = state.places[record.key] else {
        throw Failure(.notFound, "the data set has no \(quoted(record.name)) with these annotations")
      }
      let new = indices.filter(state.isPending)
      for index in new {
        state.records[index] = record.slim
        state.totals.add(record)
      }
      return new
    }
  }

  public func add(bytes: UnsafeRawBufferPointer) throws { try add(Record(bytes, of: plan, fingerprint)) }

  /// Samples without a record, in their order, and those that failed.
  public var pending: [Int] { withState { state in state.data.samples.indices.filter(state.isPending) } }
  public func isPending(_ index: Int) -> Bool { withState { $0.isPending(index) } }
}
