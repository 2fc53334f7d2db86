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
    let operation: String
    /// Of the first result.
    let shape: Shape?
    let multiplyAdds: Int
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
  /// What comes before the steps, image by image.
  let opening: Opening?
  let steps: [PlannedStep]
  let fetches: [Fetch]
  /// Of a run in two parts: the steps of the first, and the fetches at its end.
  let seam: (steps: Int, earlyCount: Int)?
  let arenaByteCount: Int
  let workspaceByteCount: Int
  let kernels: Kernels
  let parallel: Parallel
  let pool: BlockPool

  init(
    feeds: [Operand], opening: Opening?, steps: [PlannedStep], fetches: [Fetch], seam: (steps: Int, earlyCount: Int)?,
    arenaByteCount: Int, workspaceByteCount: Int, kernels: Kernels, parallel: Parallel, pool: BlockPool
  ) {
    self.seam = seam
    self.feeds = feeds
    self.opening = opening
    self.steps = steps
    self.fetches = fetches
    self.arenaByteCount = arenaByteCount
    self.workspaceByteCount = workspaceByteCount
    self.kernels = kernels
    self.parallel = parallel
    self.pool = pool
  }

  /// Bytes of working memory of one run, without weights and results.
  public var byteCount: Int { ownByteCount + (opening?.byteCount ?? 0) }
  private var ownByteCount: Int { (arenaByteCount + workspaceByteCount).roundedUp(to: 64) }

  /// The shapes of the results, in order.
  public var fetchedShapes: [Shape] { fetches.map(\.operand.shape) }

  /// Runs all steps. `feeds` are in the order and of the types and shapes that the plan was made for.
  public func run(_ feeds: [Tensor], progress: Progress) throws -> [Tensor] {
    let feeds = try feeds.map { try $0.computed().aligned() }
    let block = try pool.take(byteCount)
    defer { pool.give(block) }
    let before = opening.map { $0.images * $0.plan.steps.count } ?? 0
    let total = before + steps.count
    try opening?.run(feeds, block, offset: ownByteCount, of: total, progress)
    try run(steps.indices, of: total, before: before, feeds, block, progress)
    try progress.advance(total, of: total)
    return try fetches.map { try result($0, feeds, block) }
  }

  /// Runs the steps before the cut, then the others once for each of the tensors that `rounds` makes of the early
  /// fetches; those are the last feed. Steps that repeat count as often as they run.
  func run(
    _ feeds: [Tensor], progress: Progress, rounds: ([Tensor]) throws -> [Tensor], _ body: (Int, [Tensor]) throws -> Void
  ) throws {
    guard let seam else { throw Failure(.internal, "the plan has no second part") }
    let feeds = try feeds.map { try $0.computed().aligned() }
    let block = try pool.take(byteCount)
    defer { pool.give(block) }
    let (first, second) = (0..<seam.steps, seam.steps..<steps.count)
    try run(first, of: steps.count, feeds, block, progress)
    let late = try rounds(fetches[..<seam.earlyCount].map { try result($0, feeds, block) })
    for (round, tensor) in late.enumerated() {
      let feeds = feeds + [try tensor.computed().aligned()]
      try run(second, of: first.count + second.count * late.count, before: round * second.count, feeds, block, progress)
      try body(round, fetches[seam.earlyCount...].map { try result($0, feeds, block) })
    }
    try progress.advance(1, of: 1)
  }

  /// Runs some steps; for `progress` they are preceded by `before` others than come before them in the plan. Meanwhile
  /// other threads run as many times the same as make `copies` of it.
  func run(
    _ range: Range<Int>, of total: Int, before: Int = 0, _ feeds: [Tensor], _ block: Storage, _ progress: Progress,
    _ parallel: Parallel? = nil, copies: Int = 1
  ) throws {
    let parallel = parallel ?? self.parallel
    for i in range {
      let step = steps[i]
      try progress.advance(before + i, of: total)
      let invocation = Invocation(
        inputs: step.inputs.map { $0.map { UnsafeRawPointer(address(of: $0, feeds, block)) } },
        outputs: step.outputs.map { $0.map { address(of: $0, feeds, block) } },
        workspace: block.base + arenaByteCount, parallel: parallel)
      try locating(step.title) {
        try progress.timing(
          Profile.Step(index: i, operation: step.operation, title: step.title, shape: step.shape),
          copies * step.multiplyAdds
        ) { try step.run(invocation) }
      }
    }
  }

  func address(of location: Location, _ feeds: [Tensor], _ block: Storage) -> UnsafeMutableRawPointer {
    switch location {
    case .arena(let offset): block.base + offset
    case .feed(let i): feeds[i].data
    case .constant(let tensor): tensor.data
    }
  }

  /// A fetched value in ONNX order and the type that the model declares.
  func result(_ fetch: Fetch, _ feeds: [Tensor], _ block: Storage) throws -> Tensor {
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
