public import Graph
public import Kernels
public import Operators
public import Parallel
public import Tensors
import Transforms

/// Runs any part of a graph: from the values that are fed to the values that are asked for.
public final class Engine: Sendable {
  public let graph: Graph
  public let kernels: Kernels
  public let limit: MemoryLimit
  private let weights: PackedWeights
  private let pool: BlockPool
  private let plans = Recent<Key, Plan>()
  private let regional = Guarded<[(key: Key, plan: RegionalPlan)]>([])
  private let flattened = Recent<Key, Engine>(capacity: 4)

  private struct Key: Hashable {
    let feeds: [ValueID]
    let types: [ElementType]
    let shapes: [Shape]
    let fetches: [ValueID]
    var seam: Seam?
    let threads: Int
  }

  public init(_ graph: Graph, kernels: Kernels, limit: MemoryLimit) {
    self.graph = graph
    self.kernels = kernels
    self.limit = limit
    weights = PackedWeights(limit: limit.bytes, lasting: graph.constants.values.map(\.storage))
    pool = BlockPool()
  }

  private init(_ graph: Graph, sharing other: Engine) {
    self.graph = graph
    kernels = other.kernels
    limit = other.limit
    weights = other.weights
    pool = other.pool
  }

  /// An engine for a graph that was made from this one's: values keep their ids, packed weights and working memory are
  /// shared.
  public func extended(to graph: Graph) -> Engine { Engine(graph, sharing: self) }

  /// A plan that runs forms of one image by the regions in which they differ from it; `feeds` are for one image. nil
  /// where that cannot be done.
  public func regionalPlan(
    feeds: [(value: ValueID, type: ElementType, shape: Shape)], image: ValueID, fetches: [ValueID],
    parallel: Parallel, progress: Progress
  ) throws -> RegionalPlan? {
    guard kernels.hasRegions else { return nil }
    let key = Key(
      feeds: [image] + feeds.map(\.value), types: feeds.map(\.type), shapes: feeds.map(\.shape), fetches: fetches,
      threads: parallel.threads)
    if let known = regional.withLock({ made in made.first { $0.key == key }?.plan }) { return known }
    var builder = PlanBuilder(
      graph: joined(fetched: Set(fetches), fed: Set(feeds.map(\.value))), kernels: kernels, parallel: parallel,
      weights: weights, limit: limit, pool: pool, progress: progress)
    do {
      guard let plan = try builder.buildRegional(feeds: feeds, image: image, fetches: fetches, self) else {
        return nil
      }
      regional.withLock { made in
        made.insert((key, plan), at: 0)
        if made.count > 2 { made.removeLast() }
      }
      return plan
    } catch is NeedsFeeds {
      return nil
    } catch let failure as Failure where failure.kind == .unsupported {
      // Most likely for the memory of all values; else whole runs say it too.
      return nil
    }
  }

  /// An engine for what the outputs depend on, with the bodies of If, Loop and Scan in their places: their values can
  /// be fed and fetched (`Graph.instances`). Good for feeds of these shapes.
  public func flattened(
    feeds: [(value: ValueID, type: ElementType, shape: Shape)], parallel: Parallel, progress: Progress
  ) throws -> Engine {
    let fetches = graph.outputs.map(\.value)
    let key = Key(
      feeds: feeds.map(\.value), types: feeds.map(\.type), shapes: feeds.map(\.shape), fetches: fetches, threads: 0)
    return try flattened.value(key) {
      extended(to: try trace(feeds: feeds, fetches: fetches, parallel: parallel, progress: progress).graph)
    }
  }

  /// The part of the graph that `fetches` depend on, for feeds of these shapes, as a list of nodes without If and Loop,
  /// whose values have known types and shapes. Nothing is packed, and only what depends on constants is run; `progress`
  /// is asked meanwhile whether to go on.
  public func trace(
    feeds: [(value: ValueID, type: ElementType, shape: Shape)], fetches: [ValueID], parallel: Parallel,
    progress: Progress
  ) throws -> Emitter {
    var builder = PlanBuilder(
      graph: graph, kernels: kernels, parallel: parallel, weights: weights, limit: limit, pool: pool, progress: progress
    )
    do {
      return try builder.trace(feeds: feeds, fetches: fetches)
    } catch is NeedsFeeds {
      throw Failure(.unsupported, "the shapes in this model depend on the values that it is fed")
    }
  }

  /// Bytes that wait for the next runs: working memory, and packed weights.
  public var kept: (working: Int, packed: Int) { (pool.idleByteCount, weights.byteCount) }

  /// Throws where what the outputs depend on has an operator that Limpid does not know, or a constant that it cannot
  /// read, without planning anything.
  public func checkOperators() throws {
    for i in graph.live(for: graph.outputs.map(\.value), known: Set(graph.constants.keys)) {
      let node = graph.nodes[i]
      for case let input? in node.inputs {
        if let reason = graph.unreadable[input] { throw Failure(.unsupported, reason) }
      }
      if node.domain.isEmpty, PlanBuilder.controlFlow.contains(node.operation) { continue }
      try locating(node.title) { _ = try Operators.definition(for: node, in: graph) }
    }
  }

  /// Runs what `fetches` depend on. Results are in the order of `fetches`, in ONNX order of axes.
  ///
  /// Throws `cancelled` where `progress` asks to stop; it is asked before every step.
  public func run(
    _ feeds: [(value: ValueID, tensor: Tensor)], fetch fetches: [ValueID], parallel: Parallel,
    progress: Progress
  ) throws -> [Tensor] {
    let key = Key(
      feeds: feeds.map(\.value), types: feeds.map(\.tensor.type), shapes: feeds.map(\.tensor.shape),
      fetches: fetches, threads: parallel.threads)
    do {
      return try plan(key, parallel, progress).run(feeds.map(\.tensor), progress: progress)
    } catch let need as NeedsFeeds {
      return try run(feeds, fetches, knowing: need.feeds, parallel, progress)
    }
  }

  /// The plan for feeds of these types and shapes, made where there is none yet.
  public func plan(
    feeds: [(value: ValueID, type: ElementType, shape: Shape)], fetches: [ValueID], parallel: Parallel
  ) throws -> Plan {
    do {
      return try plan(
        Key(
          feeds: feeds.map(\.value), types: feeds.map(\.type), shapes: feeds.map(\.shape), fetches: fetches,
          threads: parallel.threads), parallel, .unwatched)
    } catch is NeedsFeeds {
      throw Failure(.unsupported, "the shapes in this model depend on the values that it is fed")
    }
  }

  private func plan(_ key: Key, _ parallel: Parallel, _ progress: Progress) throws -> Plan {
    try plans.value(key) {
      let feeds = zip(key.feeds, zip(key.types, key.shapes)).map { (value: $0, type: $1.0, shape: $1.1) }
      return try build(feeds, known: [:], key.fetches, seam: key.seam, parallel, progress)
    }
  }

  /// The graph with nodes joined that plans make one step of.
  private func joined(fetched: Set<ValueID>, fed: Set<ValueID>) -> Graph {
    graph.foldingBatchNormalization(fetched: fetched, fed: fed)
      .averagingFirst(fetched: fetched, fed: fed)
      .joiningNormalization(fetched: fetched, fed: fed)
      .composingElementwise(fetched: fetched, fed: fed)
  }

  private func build(
    _ feeds: [(value: ValueID, type: ElementType, shape: Shape)], known: [ValueID: Tensor], _ fetches: [ValueID],
    seam: Seam? = nil, _ parallel: Parallel, _ progress: Progress
  ) throws -> Plan {
    let (fetched, fed) = (Set(fetches), Set(feeds.map(\.value)).union(known.keys))
    var builder = PlanBuilder(
      graph: joined(fetched: fetched, fed: fed), kernels: kernels, parallel: parallel, weights: weights, limit: limit,
      pool: pool, progress: progress)
    return try builder.build(feeds: feeds, known: known, fetches: fetches, seam: seam)
  }

  /// Runs in two parts: first what does not depend on the value `late`, once, then the rest, once for each round. So
  /// several classes of an image share one forward pass.
  ///
  /// `rounds` gets `early` after the first part, and answers with what `late` is fed in each round; `body` gets the
  /// round and `fetches` at its end.
  public func run(
    _ feeds: [(value: ValueID, tensor: Tensor)], early: [ValueID], late: (value: ValueID, operand: Operand),
    fetch fetches: [ValueID], parallel: Parallel, progress: Progress,
    rounds: ([Tensor]) throws -> [Tensor], _ body: (Int, [Tensor]) throws -> Void
  ) throws {
    let key = Key(
      feeds: feeds.map(\.value) + [late.value], types: feeds.map(\.tensor.type) + [late.operand.type],
      shapes: feeds.map(\.tensor.shape) + [late.operand.shape], fetches: early + fetches,
      seam: Seam(late: late.value, earlyCount: early.count), threads: parallel.threads)
    do {
      try plan(key, parallel, progress).run(feeds.map(\.tensor), progress: progress, rounds: rounds, body)
    } catch is NeedsFeeds {
      throw Failure(.unsupported, "the shapes in this model depend on the values that it is fed")
    }
  }

  /// For graphs whose shapes depend on values: a plan for these very values, used once.
  private func run(
    _ feeds: [(value: ValueID, tensor: Tensor)], _ fetches: [ValueID], knowing names: Set<ValueID>,
    _ parallel: Parallel, _ progress: Progress
  ) throws -> [Tensor] {
    let open = feeds.filter { !names.contains($0.value) }
    // What is packed of constants is known by address.
    let known = try feeds.filter { names.contains($0.value) }.map { ($0.value, try $0.tensor.owned()) }
    do {
      let plan = try build(
        open.map { ($0.value, $0.tensor.type, $0.tensor.shape) }, known: Dictionary(known) { $1 }, fetches, parallel,
        progress)
      return try plan.run(open.map(\.tensor), progress: progress)
    } catch let need as NeedsFeeds {
      return try run(feeds, fetches, knowing: names.union(need.feeds), parallel, progress)
    }
  }
}

extension Operators {
  /// What is known of the operator of `node`; the error names operator, domain and version.
  static func definition(for node: Node, in graph: Graph) throws -> OperatorDefinition {
    if let definition = definition(node.operation, domain: node.domain) { return definition }
    let domain = node.domain.isEmpty ? "ai.onnx" : node.domain
    throw Failure(
      .unsupported,
      "operator \(node.operation) of domain \(domain), version \(graph.opset(of: node)), is not supported")
  }
}
