import Kernels
import Operators
public import Parallel
public import Tensors

/// A sub-graph made ready to run for feeds of fixed shapes: steps in order, and where in memory each value lies.
///
/// Immutable; any number of threads may run it at once, each with its own block of memory from the engine's pool.
public final class Plan: Sendable {
  enum Location: Sendable {
    case arena(offset: Int)
    case feed(Int)
    case constant(Tensor)
  }

  struct PlannedStep: Sendable {
    let title: String
    let run: @Sendable (Invocation) throws -> Void
    let inputs: [Location?]
    let outputs: [Location?]
  }

  struct Fetch: Sendable {
    let operand: Operand
    let location: Location
    /// The type in which the model declares the value.
    let declared: ElementType
  }

  let feeds: [Operand]
  let steps: [PlannedStep]
  let fetches: [Fetch]
  let arenaByteCount: Int
  let workspaceByteCount: Int
  private let kernels: Kernels
  private let parallel: Parallel
  private let pool: BlockPool

  init(
    feeds: [Operand], steps: [PlannedStep], fetches: [Fetch], arenaByteCount: Int, workspaceByteCount: Int,
    kernels: Kernels, parallel: Parallel, pool: BlockPool
  ) {
    self.feeds = feeds
    self.steps = steps
    self.fetches = fetches
    self.arenaByteCount = arenaByteCount
    self.workspaceByteCount = workspaceByteCount
    self.kernels = kernels
    self.parallel = parallel
    self.pool = pool
  }

  /// Bytes of working memory of one run, without weights and results.
  public var byteCount: Int { arenaByteCount + workspaceByteCount }

  /// The shapes of the results, in order.
  public var fetchedShapes: [Shape] { fetches.map(\.operand.shape) }

  /// Runs all steps. `feeds` are in the order and of the types and shapes that the plan was made for.
  public func run(_ feeds: [Tensor], progress: Progress = Progress()) throws -> [Tensor] {
    let feeds = try feeds.map { try $0.computed().aligned() }
    let block = try pool.take(byteCount)
    defer { pool.give(block) }
    for (i, step) in steps.enumerated() {
      try progress.advance(i, of: steps.count)
      let invocation = Invocation(
        inputs: step.inputs.map { $0.map { UnsafeRawPointer(address(of: $0, feeds, block)) } },
        outputs: step.outputs.map { $0.map { address(of: $0, feeds, block) } },
        workspace: block.base + arenaByteCount, parallel: parallel)
      try locating(step.title) { try step.run(invocation) }
    }
    try progress.advance(steps.count, of: steps.count)
    return try fetches.map { try result($0, feeds, block) }
  }

  private func address(of location: Location, _ feeds: [Tensor], _ block: Storage) -> UnsafeMutableRawPointer {
    switch location {
    case .arena(let offset): block.base + offset
    case .feed(let i): feeds[i].data
    case .constant(let tensor): tensor.data
    }
  }

  /// A fetched value in ONNX order and the type that the model declares.
  private func result(_ fetch: Fetch, _ feeds: [Tensor], _ block: Storage) throws -> Tensor {
    let result = try Tensor(fetch.operand.type, fetch.operand.shape)
    let source = UnsafeRawPointer(address(of: fetch.location, feeds, block))
    kernels.copy(source, fetch.operand, to: .standard, into: result.data, parallel)
    return try result.converted(to: fetch.declared)
  }
}

extension Kernels {
  /// Copies the value of `operand`, which lies in its layout, into `layout`.
  func copy(
    _ source: UnsafeRawPointer, _ operand: Operand, to layout: Layout, into target: UnsafeMutableRawPointer,
    _ parallel: Parallel
  ) {
    let size = operand.type.byteCount
    let shape = operand.shape
    guard !operand.layout.hasBytes(of: layout, for: shape) else {
      return target.copyMemory(from: source, byteCount: shape.count * size)
    }
    let permutation = layout.order(rank: shape.rank).map { operand.layout.physicalAxis($0, rank: shape.rank) }
    permute(
      source, shape: operand.layout.physical(shape).dimensions, permutation: permutation, elementSize: size,
      into: target, parallel)
  }
}
