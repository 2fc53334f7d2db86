import Engine
public import Graph
public import Operators
public import Parallel
import Synchronization
public import Tensors

/// A graph that runs in two parts, for feeds of fixed shapes: what does not depend on the value that is fed late runs
/// once, the rest once for each tensor that is fed there. What the second part reads of the first stays where it lies.
public final class TwoPartRun: Sendable {
  /// Type and shape of what is fed late.
  public let late: Operand
  private let engine: Engine
  private let feeds: [ValueID]
  private let early: [ValueID]
  private let value: ValueID
  private let fetches: [ValueID]

  /// `early` are fetched of the first part, `fetches` of the second; `feeds` are in the order in which tensors will come.
  init(
    _ engine: Engine, feeds: [ValueID], early: [ValueID], late: (value: ValueID, operand: Operand), fetches: [ValueID]
  ) {
    (self.engine, self.feeds, self.early, self.fetches) = (engine, feeds, early, fetches)
    (value, self.late) = late
  }

  /// `makeLate` answers the early values with what is fed late, round by round; `body` gets the fetches of each round.
  public func run(
    _ tensors: [Tensor], parallel: Parallel, progress: Progress, late makeLate: ([Tensor]) throws -> [Tensor],
    _ body: (_ round: Int, _ fetched: [Tensor]) throws -> Void
  ) throws {
    try engine.run(
      zip(feeds, tensors).map { (value: $0, tensor: $1) }, early: early, late: (value, late), fetch: fetches,
      parallel: parallel, progress: progress, rounds: makeLate, body)
  }
}

/// Some items of a stream whose first part has run.
public struct EarlyBatch {
  /// Which items: positions in the stream, ascending.
  public let items: [Int]
  /// [channels, height, width] of each.
  public let shape: Shape
  /// The early values, [items, …] each.
  public let early: [Tensor]
  /// Type and shape of what is fed late, rows that fill the batch up included.
  public let late: Operand
}

extension Model {
  /// Runs a stream in two parts, some items at a time.
  ///
  /// - Parameters:
  ///   - fetches: what will be run for, of the model's own values.
  ///   - run: for items, at feeds of these types and shapes, the image input first.
  ///   - late: what is fed late in each round.
  ///   - body: gets the fetches of a round, [items, …] each where they have the batch's rows.
  public func forEachInTwoParts(
    of stream: some InputStream, fetches: [ValueID], _ call: Call, _ progress: Progress,
    run makeRun: (
      _ items: [Int], _ feeds: [(value: ValueID, type: ElementType, shape: Shape)]
    ) throws -> TwoPartRun,
    late: (EarlyBatch) throws -> [Tensor],
    _ body: (_ batch: EarlyBatch, _ round: Int, _ fetched: [Tensor]) throws -> Void
  ) throws {
    let input = try imageInput()
    var batches = Batches(stream: stream, size: batchSize(call), declared: declaredBatch, limit: engine.limit)
    let parallel = parallel(for: call)
    let others = try FurtherInputs(self, call, fetches + graph.outputs.map(\.value))
    try checkComplete(Set([input] + others.values), for: fetches)
    func run(_ items: [Int], _ tensor: Tensor, _ parts: TwoPartRun, _ progress: Progress) throws {
      let rows = tensor.shape[0]
      var batch: EarlyBatch?
      try parts.run(
        [tensor] + others.tensors(for: items.map(stream.image), rows: rows).map(\.tensor), parallel: parallel,
        progress: progress,
        late: { tensors in
          let own = EarlyBatch(
            items: items, shape: Shape(trusted: Array(tensor.shape.dimensions.dropFirst())),
            early: try tensors.map { try $0.leading(items.count, of: rows) }, late: parts.late)
          batch = own
          return try late(own)
        }
      ) { round, fetched in
        guard let batch else { throw Failure(.internal, "a round came before its batch") }
        try body(batch, round, fetched.map { try $0.leading(items.count, of: rows) })
      }
    }
    func parts(_ items: [Int], _ tensor: Tensor) throws -> TwoPartRun {
      try makeRun(items, [(input, tensor.type, tensor.shape)] + others.operands(rows: tensor.shape[0]))
    }
    while let batch = try batches.next() {
      let progress = progress.range(batch.start..<batch.end, of: stream.count)
      if let together = try together(batch, parts) {
        try run(batch.items, batch.tensor, together, progress)
        continue
      }
      for i in batch.items.indices {
        let (own, tensor) = ([batch.items[i]], try batch.part(i))
        try run(own, tensor, parts(own, tensor), progress.range(i..<i + 1, of: batch.items.count))
      }
    }
    try progress.advance(1, of: 1)
  }

  /// nil where the graph turns out to take one image at a time, whatever it declares.
  private func together(_ batch: Batch, _ parts: ([Int], Tensor) throws -> TwoPartRun) throws -> TwoPartRun? {
    let isSingle = batch.items.count == 1 || batch.isDeclared
    if !isSingle, takesOneImage.load(ordering: .relaxed) { return nil }
    do {
      return try parts(batch.items, batch.tensor)
    } catch let failure as Failure where failure.kind == .invalidModel && !isSingle {
      takesOneImage.store(true, ordering: .relaxed)
      return nil
    }
  }
}
