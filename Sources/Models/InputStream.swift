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
  /// Which of the call's images item `i` is made of, whose rows of further inputs it goes with; nil where no one says.
  func image(_ i: Int) -> Int?
}

extension InputStream {
  public func image(_ i: Int) -> Int? { nil }
}

/// Items of one shape that a closure writes.
public struct Variants: InputStream {
  public let count: Int
  private let shape: Shape
  private let image: Int?
  private let body: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void

  /// `shape` has no batch axis; `image` is which of the call's images they are made of, where there are several.
  public init(
    count: Int, shape: Shape, image: Int? = nil,
    _ write: @escaping (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void
  ) {
    self.count = count
    self.shape = shape
    self.image = image
    body = write
  }

  public func shape(_ i: Int) -> Shape? { shape }
  public func image(_ i: Int) -> Int? { image }
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
    let others = try feeding == nil ? FurtherInputs(self, call, fetches) : nil
    try checkComplete(Set([value] + holding.map(\.value) + (others?.values ?? [])), for: fetches)
    var batches = Batches(stream: stream, size: batchSize(call), declared: declaredBatch, limit: engine.limit)
    let runner = BatchRunner(
      model: self, value: value, holding: holding, fetches: fetches, parallel: parallel(for: call),
      others: { try others?.tensors(for: $0, rows: $1) ?? [] })
    while let batch = try batches.next() {
      // Items that were left out count as done.
      let progress = progress.range(batch.start..<batch.end, of: stream.count)
      let parts = bodyCost > 0 ? progress.parts(1, bodyCost) : [progress, progress.polling]
      try runner.run(batch, batch.items.map(stream.image), parts[0]) { items, tensors, share in
        let own = bodyCost > 0 ? parts[1].range(share, of: batch.items.count) : parts[1]
        try body(OutputBatch(items: items, tensors: tensors, progress: own))
      }
    }
    try progress.advance(1, of: 1)
  }

  /// The value that images are fed to, [N, C, H, W].
  public func imageInput() throws -> ValueID {
    guard let input else {
      throw Failure(
        .unsupported,
        "images are fed to an input of rank 3 or 4; which one is not plain here (name it in the metadata, limpid.input, "
          + "or feed all by name with run): the model's inputs are "
          + graph.inputs.map { "\(quoted(graph.name(of: $0.value))) \($0.described)" }.joined(separator: ", "))
    }
    return input.value
  }

  var declaredBatch: Int? { format?.batch }

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
  /// Further inputs for items of these images, in so many rows.
  let others: ([Int?], Int) throws -> [(value: ValueID, tensor: Tensor)]

  /// `body` gets the items that ran, their tensors, and which of the batch's items they are.
  func run(
    _ batch: Batch, _ images: [Int?], _ progress: Progress, _ body: ([Int], [Tensor], Range<Int>) throws -> Void
  ) throws {
    let all = 0..<batch.items.count
    // Another call may have found out meanwhile.
    let isSingle = all.count > 1 && model.takesOneImage.load(ordering: .relaxed)
    guard !isSingle, let results = try together(batch, images, progress) else {
      for i in all {
        let results = try run(batch.part(i), [images[i]], progress.range(i..<i + 1, of: all.count))
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
  private func together(_ batch: Batch, _ images: [Int?], _ progress: Progress) throws -> [Tensor]? {
    do {
      return try run(batch.tensor, images, progress)
    } catch let failure as Failure where failure.kind == .invalidModel && batch.items.count > 1 && !batch.isDeclared {
      return nil
    }
  }

  private func run(_ tensor: Tensor, _ images: [Int?], _ progress: Progress) throws -> [Tensor] {
    try model.engine.run(
      [(value: value, tensor: tensor)] + holding + others(images, tensor.shape[0]), fetch: fetches, parallel: parallel,
      progress: progress)
  }
}
