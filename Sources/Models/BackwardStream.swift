import Engine
public import Graph
public import Operators
public import Parallel
import Synchronization
public import Tensors
public import Transforms

/// Some items of a stream that go forward together, and backward once for each target.
public struct BackwardBatch {
  /// Which items: positions in the stream, ascending.
  public let items: [Int]
  /// [channels, height, width] of each.
  public let shape: Shape
  /// The early values, [items, …] each.
  public let early: [Tensor]
  /// Type and shape of the target, rows that fill the batch up included.
  public let target: Operand
}

extension Model {
  /// Runs a stream forward, and the gradients of targets by `values` backward, some items at a time.
  ///
  /// - Parameters:
  ///   - target: the value whose weighted sum is differentiated.
  ///   - values: what it is differentiated by, for items of shape [channels, height, width] at the input; the image
  ///     input is one of them where it is listed.
  ///   - early: what `weights` needs of the forward pass, for items of a shape.
  ///   - exits: a target of its own for each of the values, for items of a shape; nil: `target` itself.
  ///   - weights: for each round a tensor of the target's type and shape; rows behind the items are to be 0.
  ///   - body: gets the gradients of a round, [items, …] each.
  public func forEachBackward(
    of stream: some InputStream, target: ValueID, at values: (Shape) throws -> [ValueID], rules: GradientRules,
    early: (Shape) throws -> [ValueID], exits: (Shape) throws -> BackwardPass.Exits? = { _ in nil }, _ call: Call,
    _ progress: Progress, weights: (BackwardBatch) throws -> [Tensor],
    _ body: (_ batch: BackwardBatch, _ round: Int, _ gradients: [Tensor]) throws -> Void
  ) throws {
    let input = try imageInput()
    var batches = Batches(stream: stream, size: batchSize(call), declared: declaredBatch, limit: engine.limit)
    let parallel = parallel(for: call)
    let others = try FurtherInputs(self, call, [target] + graph.outputs.map(\.value))
    try checkComplete(Set([input] + others.values), for: [target])
    func run(_ items: [Int], _ tensor: Tensor, _ pass: BackwardPass, _ progress: Progress) throws {
      let shape = Shape(trusted: Array(tensor.shape.dimensions.dropFirst()))
      var batch: BackwardBatch?
      try pass.run(
        [tensor] + others.tensors(for: items.map(stream.image), rows: tensor.shape[0]).map(\.tensor),
        parallel: parallel, progress: progress,
        weights: { tensors in
          let own = BackwardBatch(
            items: items, shape: shape,
            early: try tensors.map { try $0.leading(items.count, of: tensor.shape[0]) }, target: pass.target)
          batch = own
          return try weights(own)
        }
      ) { round, gradients in
        guard let batch else { throw Failure(.internal, "a round came before its batch") }
        try body(batch, round, gradients.map { try $0.leading(items.count, of: tensor.shape[0]) })
      }
    }
    func pass(_ tensor: Tensor) throws -> BackwardPass {
      let shape = Shape(trusted: Array(tensor.shape.dimensions.dropFirst()))
      var request = BackwardPass.Request(
        feeds: try [(input, tensor.type, tensor.shape)] + others.operands(rows: tensor.shape[0]), target: target,
        values: try values(shape))
      request.early = try early(shape)
      request.rules = rules
      request.exits = try exits(shape)
      return try backwardPass(request, parallel)
    }
    while let batch = try batches.next() {
      let progress = progress.range(batch.start..<batch.end, of: stream.count)
      if let together = try together(batch, pass) {
        try run(batch.items, batch.tensor, together, progress)
        continue
      }
      for i in batch.items.indices {
        let tensor = try batch.part(i)
        try run([batch.items[i]], tensor, pass(tensor), progress.range(i..<i + 1, of: batch.items.count))
      }
    }
    try progress.advance(1, of: 1)
  }

  /// nil where the graph turns out to take one image at a time, whatever it declares.
  private func together(_ batch: Batch, _ pass: (Tensor) throws -> BackwardPass) throws -> BackwardPass? {
    let isSingle = batch.items.count == 1 || batch.isDeclared
    if !isSingle, takesOneImage.load(ordering: .relaxed) { return nil }
    do {
      return try pass(batch.tensor)
    } catch let failure as Failure where failure.kind == .invalidModel && !isSingle {
      takesOneImage.store(true, ordering: .relaxed)
      return nil
    }
  }
}
