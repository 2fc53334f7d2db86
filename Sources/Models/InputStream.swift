import Engine
public import Graph
public import Parallel
import Synchronization
public import Tensors

/// Inputs that are written one by one into the memory that the engine reads, a batch at a time; never all at once.
/// Images, masked variants of one tensor, noise samples, path integrals and data sets all go through this.
///
/// Items are asked for in order, `shape` and then `write`, each at least once; an item may be asked for twice.
public protocol InputStream {
  var count: Int { get }
  /// The shape of item `i` without the batch axis, [channels, height, width] for images; nil leaves the item out.
  func shape(_ i: Int) throws -> Shape?
  /// Writes the float32 values of item `i`, as many as its shape says.
  func write(_ i: Int, into target: UnsafeMutablePointer<Float>) throws
}

/// Items of one shape that a closure writes.
public struct Variants: InputStream {
  public let count: Int
  private let shape: Shape
  private let body: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void

  /// `shape` has no batch axis.
  public init(
    count: Int, shape: Shape, _ write: @escaping (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void
  ) {
    self.count = count
    self.shape = shape
    body = write
  }

  public func shape(_ i: Int) -> Shape? { shape }
  public func write(_ i: Int, into target: UnsafeMutablePointer<Float>) throws { try body(i, target) }
}

/// What came out for some items of a stream that ran together.
public struct OutputBatch {
  /// Which items: positions in the stream, ascending.
  public let items: [Int]
  /// The fetched values, [items, …] each.
  public let tensors: [Tensor]
  /// For what is done with them: its share of the call, or asking only.
  public let progress: Progress

  public var count: Int { items.count }
}

extension Model {
  /// Runs the model on a stream, some items at a time, and hands `body` the values of `fetches` for each group. Items
  /// run together where they have one shape. The bits do not depend on how many run at once.
  ///
  /// - Parameters:
  ///   - feeding: the value that items are fed as; nil: the model's image input. An inner value makes it the tail of
  ///     the model that runs.
  ///   - holding: other values that are fed as they are, the same in every batch.
  ///   - bodyCost: what `body` takes of a batch's progress where the run itself is 1. At 0 `OutputBatch.progress` asks
  ///     whether to go on and counts for nothing.
  public func forEachBatch(
    of stream: some InputStream, feeding: ValueID? = nil, holding: [(value: ValueID, tensor: Tensor)] = [],
    fetch fetches: [ValueID], _ call: Call, _ progress: Progress, bodyCost: Double = 0,
    _ body: (OutputBatch) throws -> Void
  ) throws {
    let value = try feeding ?? imageInput()
    try checkComplete(Set([value] + holding.map(\.value)), for: fetches)
    var batches = Batches(stream: stream, size: batchSize(call), declared: declaredBatch, limit: engine.limit)
    let runner = BatchRunner(
      model: self, value: value, holding: holding, fetches: fetches, parallel: parallel(for: call))
    while let batch = try batches.next() {
      // Items that were left out count as done.
      let progress = progress.range(batch.start..<batch.end, of: stream.count)
      let parts = bodyCost > 0 ? progress.parts(1, bodyCost) : [progress, progress.polling]
      try runner.run(batch, parts[0]) { items, tensors, share in
        let own = bodyCost > 0 ? parts[1].range(share, of: batch.items.count) : parts[1]
        try body(OutputBatch(items: items, tensors: tensors, progress: own))
      }
    }
    try progress.advance(1, of: 1)
  }

  /// The one input of the model that images are fed to.
  public func imageInput() throws -> ValueID {
    guard let input, graph.inputs.count == 1 else {
      throw Failure(
        .unsupported,
        "images can be fed to models with one 4-D floating-point input; this one has \(graph.inputs.count) inputs "
          + "(feed them by name with limpid_run)")
    }
    return input.value
  }

  var declaredBatch: Int? {
    if case .fixed(let extent)? = input?.dimensions?.first { extent } else { nil }
  }

  func batchSize(_ call: Call) -> Int {
    if let declaredBatch { return max(1, declaredBatch) }
    if takesOneImage.load(ordering: .relaxed) { return 1 }
    return call.batchSize > 0 ? call.batchSize : Call.defaultBatchSize
  }
}

/// Runs batches, one item at a time where the graph turns out to take no more.
private struct BatchRunner {
  let model: Model
  let value: ValueID
  let holding: [(value: ValueID, tensor: Tensor)]
  let fetches: [ValueID]
  let parallel: Parallel

  /// `body` gets the items that ran, their tensors, and which of the batch's items they are.
  func run(_ batch: Batch, _ progress: Progress, _ body: ([Int], [Tensor], Range<Int>) throws -> Void) throws {
    let all = 0..<batch.items.count
    // Another call may have found out meanwhile.
    let isSingle = all.count > 1 && model.takesOneImage.load(ordering: .relaxed)
    guard !isSingle, let results = try together(batch, progress) else {
      for i in all {
        let results = try run(batch.part(i), progress.range(i..<i + 1, of: all.count))
        // Exporters write a batch of 1 into reshapes even where they declare it as variable. Only now is it known that
        // the batch was the reason.
        if all.count > 1 { model.takesOneImage.store(true, ordering: .relaxed) }
        try body([batch.items[i]], results, i..<i + 1)
      }
      return
    }
    let rows = batch.tensor.shape[0]
    try body(batch.items, results.map { try $0.leading(all.count, of: rows) }, all)
  }

  /// nil where the run failed in a way that a batch of one may not.
  private func together(_ batch: Batch, _ progress: Progress) throws -> [Tensor]? {
    do {
      return try run(batch.tensor, progress)
    } catch let failure as Failure where failure.kind == .invalidModel && batch.items.count > 1 && !batch.isDeclared {
      return nil
    }
  }

  private func run(_ tensor: Tensor, _ progress: Progress) throws -> [Tensor] {
    try model.engine.run(
      [(value: value, tensor: tensor)] + holding, fetch: fetches, parallel: parallel, progress: progress)
  }
}
