public import Graph
public import Parallel
public import Tensors
public import Transforms

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
    _ progress: Progress, weights: (EarlyBatch) throws -> [Tensor],
    _ body: (_ batch: EarlyBatch, _ round: Int, _ gradients: [Tensor]) throws -> Void
  ) throws {
    try forEachInTwoParts(
      of: stream, fetches: [target], call, progress,
      run: { _, feeds in
        let shape = Shape(trusted: Array(feeds[0].shape.dimensions.dropFirst()))
        var request = BackwardPass.Request(feeds: feeds, target: target, values: try values(shape))
        request.early = try early(shape)
        request.rules = rules
        request.exits = try exits(shape)
        return try backwardPass(request, parallel(for: call))
      }, late: weights, body)
  }
}
