import Graph
import Kernels
import Operators
import Parallel
import Tensors

/// A plan depends on the values of these feeds, not only on their shapes.
struct NeedsFeeds: Error {
  let feeds: Set<ValueID>
}

/// Where a run in two parts is cut: behind all that does not depend on the feed `late`. The first `earlyCount` fetches
/// are taken there, the others at the end of each round.
struct Seam: Hashable {
  let late: ValueID
  let earlyCount: Int
}

/// Makes a `Plan`: walks the nodes in order, lets each operator plan its step from what is known of its operands,
/// runs what depends on constants alone at once, converts layouts where an operator wants another one, and at the end
/// lays out memory.
struct PlanBuilder {
  /// Grows by the bodies of If and Loop.
  var graph: Graph
  let kernels: Kernels
  let parallel: Parallel
  let weights: PackedWeights
  let limit: MemoryLimit
  let pool: BlockPool
  let progress: Progress

  /// Where a value lies while the plan is being made.
  enum Place {
    case feed(Int)
    case constant(Tensor)
    case buffer(Int)
  }

  /// A value: what operators know of it, and where it lies in each layout that it was wanted in.
  struct Value {
    var operand: Operand
    var places: [Layout: Place]
  }

  struct Draft {
    let node: Node
    let request: Request?
    let run: @Sendable (Invocation) throws -> Void
    let inputs: [Place?]
    let outputs: [Place?]
    let workspace: Int
    let overwritable: [Int]
    var shape: Shape?
    var multiplyAdds = 0
    var regional: RegionalStep?
    var rows: RowStep?
    /// Taken out again, because a later step does its work too.
    var isAbsorbed = false
  }

  var values: [ValueID: Value] = [:]
  var drafts: [Draft] = []
  var bufferSizes: [Int] = []
  var feeds: [Operand] = []
  var fed: Set<ValueID> = []
  /// Whether steps may take over what changes the extent of maps, or joins them. Not in plans by regions, which need
  /// each map.
  var fusesMaps = true
  /// Whether values that are fed are a part of the plan.
  var isForKnownFeeds = false
  var fetched: Set<ValueID> = []
  /// How many live nodes read each value.
  var readers: [ValueID: Int] = [:]
  /// The draft that makes each value.
  var makers: [ValueID: Int] = [:]
  /// The extent of the bodies of If and Loop that became a part of the plan.
  var inlined = 0
  /// Bytes of what was computed while the plan was made; they live as long as the plan.
  var foldedByteCount = 0
  /// What was computed while the plan was made, in elements read and written, and as much as may be.
  var foldedWork = 0
  let mostFoldedWork: Int
  /// Work since `progress` was asked, in elements.
  var unaskedWork = 0
  /// While tracing, the nodes that were planned, those of If and Loop in their place.
  private var traced: [Node]?

  private static let nothing: @Sendable (Invocation) throws -> Void = { _ in }
  /// Laying out memory takes quadratic time; fifty times what the largest classifiers need, and what gradients of
  /// recurrent cells do over two thousand steps.
  private static let bufferLimit = 1 << 17
  /// What a step itself takes beside its results, about.
  private static let stepByteCount = 2048

  init(
    graph: Graph, kernels: Kernels, parallel: Parallel, weights: PackedWeights, limit: MemoryLimit, pool: BlockPool,
    progress: Progress
  ) {
    self.graph = graph
    self.kernels = kernels
    self.parallel = parallel
    self.weights = weights
    self.limit = limit
    self.pool = pool
    self.progress = progress
    mostFoldedWork = Self.mostFoldedWork(graph)
  }

  /// `feeds` are what a run will bring; `known` are feeds whose values are a part of the plan.
  mutating func build(
    feeds declared: [(value: ValueID, type: ElementType, shape: Shape)], known: [ValueID: Tensor],
    fetches: [ValueID], seam: Seam?
  ) throws -> Plan {
    let original = self
    let live = try prepare(declared, known, fetches)
    guard let seam else {
      for i in live { try add(at: i) }
      let beginning = isForKnownFeeds ? nil : try beginning(original, declared, fetches: fetches)
      return try finish(fetches, seam: nil, after: beginning)
    }
    let late = graph.dependents(of: [seam.late])
    let isLate = live.map { graph.read(by: graph.nodes[$0]).contains(where: late.contains) }
    for (i, isLate) in zip(live, isLate) where !isLate { try add(at: i) }
    let boundary = drafts.count
    for (i, isLate) in zip(live, isLate) where isLate { try add(at: i) }
    return try finish(fetches, seam: (drafts[..<boundary].count { !$0.isAbsorbed }, seam.earlyCount))
  }

  /// The live part as a flat list of nodes, and what is known of its values.
  mutating func trace(
    feeds declared: [(value: ValueID, type: ElementType, shape: Shape)], fetches: [ValueID]
  ) throws -> Emitter {
    traced = []
    for i in try prepare(declared, [:], fetches) { try add(at: i) }
    graph.nodes = traced ?? []
    return Emitter(graph, operands: values.mapValues(\.operand), kernels: kernels, parallel: parallel)
  }

  mutating func add(at i: Int) throws {
    let node = graph.nodes[i]
    try locating(node.title) { try add(node) }
  }

  /// Takes in what is fed; the indices of the live nodes.
  mutating func prepare(
    _ declared: [(value: ValueID, type: ElementType, shape: Shape)], _ known: [ValueID: Tensor], _ fetches: [ValueID]
  ) throws -> [Int] {
    for (i, feed) in declared.enumerated() {
      let operand = Operand(feed.type.computed, feed.shape)
      // A shape that is only declared may be of any size; operators rely on operands that could be there.
      try limit.check(operand.byteCount, for: "a feed of shape \(feed.shape)")
      feeds.append(operand)
      values[feed.value] = Value(operand: operand, places: [.standard: .feed(i)])
    }
    isForKnownFeeds = !known.isEmpty
    for (value, tensor) in known { try setConstant(value, tensor.computed()) }
    fed = Set(declared.map(\.value))
    fetched = Set(fetches)
    let live = graph.live(for: fetches, known: Set(values.keys).union(graph.constants.keys))
    for i in live { countReaders(graph.nodes[i]) }
    return live
  }

  /// Counts what a node and the subgraphs in it read.
  mutating func countReaders(_ node: Node) {
    for value in graph.read(by: node) { readers[value, default: 0] += 1 }
  }

  /// Plans one node.
  mutating func add(_ node: Node) throws {
    try ask(after: 1 << 14)
    do {
      for case let input? in node.inputs { try bring(input) }
      if Self.controlFlow.contains(node.operation), node.domain.isEmpty { return try addControlFlow(node) }
      let definition = try Operators.definition(for: node, in: graph)
      if traced != nil { traced?.append(node) } else if try absorb(node) { return }
      let request = request(for: node)
      try add(node, request, definition.plan(request))
    } catch let need as NeedsConstant {
      guard let value = node.inputs[need.input] else { throw need }
      throw try needsFeeds(value)
    }
  }

  func request(for node: Node) -> Request {
    let inputs = node.inputs.map { $0.flatMap { values[$0]?.operand } }
    // What depends on constants alone is run even while tracing.
    let runs = traced == nil || inputs.allSatisfy { $0?.constant != nil || $0 == nil }
    return Request(
      node: node, opset: graph.opset(of: node), inputs: inputs,
      wanted: node.outputs.map { output in output.map { readers[$0] != nil || fetched.contains($0) } ?? false },
      kernels: kernels, parallel: parallel, weights: runs ? weights : .unpacked)
  }

  /// Makes a weight known to the plan, in the type that it is computed in.
  mutating func bring(_ value: ValueID) throws {
    guard values[value] == nil else { return }
    if let reason = graph.unreadable[value] { throw Failure(.unsupported, reason) }
    guard let tensor = graph.constants[value] else {
      throw Failure(.invalidModel, "its input \(quoted(graph.name(of: value))) is neither fed nor made by any node")
    }
    if tensor.type.computed == tensor.type { return setConstant(value, tensor) }
    let storage = try weights.packed([tensor], as: "float32", byteCount: 4 * tensor.count) {
      try tensor.computed().storage
    }
    setConstant(value, try Tensor(.float32, tensor.shape, storage: storage))
  }

  private mutating func setConstant(_ value: ValueID, _ tensor: Tensor) {
    values[value] = Value(
      operand: Operand(tensor.type, tensor.shape, constant: tensor), places: [.standard: .constant(tensor)])
  }

  /// Takes a planned step into the plan.
  mutating func add(_ node: Node, _ request: Request, _ step: Step) throws {
    guard step.outputs.count >= request.wanted.count || !request.wanted[step.outputs.count...].contains(true) else {
      throw Failure(.unsupported, "output \(step.outputs.count) is not supported")
    }
    switch step.action {
    case .constants(let tensors):
      for tensor in tensors { try addFolded(tensor.byteCount) }
      for case (let output?, let tensor) in zip(node.outputs, tensors) { setConstant(output, tensor) }
    case .view(let i):
      guard let source = node.inputs[i], let output = node.output(0) else { return }
      let place = try place(of: source, in: step.inputLayouts[i])
      let operand = step.outputs[0]
      if case .constant(let tensor) = place {
        try setFolded(output, operand, tensor.reshaped(operand.layout.physical(operand.shape)))
      } else {
        values[output] = Value(operand: operand, places: [operand.layout: place])
        follow(source, asViewed: output)
      }
    case .run(let run):
      let isConstant = request.inputs.allSatisfy { $0 == nil || $0!.constant != nil }
      if isConstant, try mayFold(step, request) { return try fold(node, step, run) }
      let inputs = try zip(node.inputs, step.inputLayouts).enumerated().map { i, input in
        try step.taken.contains(i) ? nil : input.0.map { try aligned(place(of: $0, in: input.1)) }
      }
      var outputs: [Place?] = []
      for (i, operand) in step.outputs.enumerated() {
        let place = Place.buffer(try addBuffer(operand, for: node))
        outputs.append(place)
        if let output = node.output(i) {
          values[output] = Value(operand: operand, places: [operand.layout: place])
          makers[output] = drafts.count
        }
      }
      // Nothing to compute; and loops over the other extents of an empty result could be long.
      let isEmpty = step.outputs.allSatisfy { $0.shape.count == 0 }
      drafts.append(
        Draft(
          node: node, request: request, run: isEmpty ? Self.nothing : run, inputs: inputs, outputs: outputs,
          workspace: isEmpty ? 0 : step.workspace, overwritable: step.overwritable,
          shape: step.outputs.first?.shape, multiplyAdds: step.multiplyAdds, regional: step.regional,
          rows: isEmpty ? nil : step.rows))
    }
  }

  mutating func addBuffer(_ operand: Operand, for node: Node) throws -> Int {
    try limit.check(operand.byteCount, for: "its result of shape \(operand.shape)")
    guard bufferSizes.count < Self.bufferLimit else {
      throw Failure(.unsupported, "the graph needs more than \(Self.bufferLimit) steps")
    }
    try limit.check(Self.stepByteCount * bufferSizes.count, for: "a plan of \(bufferSizes.count) steps")
    bufferSizes.append(operand.byteCount)
    return bufferSizes.count - 1
  }

  /// Where `value` lies in `layout`; a step that brings it there is added where there is none yet.
  mutating func place(of value: ValueID, in layout: Layout) throws -> Place {
    let known = values[value]!
    if let place = known.places[layout] { return place }
    let operand = known.operand
    let existing = known.places[operand.layout]!
    guard layout.fits(rank: operand.shape.rank) else {
      throw Failure(.internal, "a value of shape \(operand.shape) cannot lie in the layout \(layout)")
    }
    if operand.layout.hasBytes(of: layout, for: operand.shape) {
      values[value]!.places[layout] = existing
      return existing
    }
    let kernels = kernels
    if case .constant(let tensor) = existing {
      try addFolded(tensor.byteCount)
      let copy = try Tensor(tensor.type, layout.physical(tensor.shape))
      kernels.copy(tensor.data, operand, to: layout, into: copy.data, parallel)
      values[value]!.places[layout] = .constant(copy)
      return .constant(copy)
    }
    let node = Node("Permute", domain: "limpid", inputs: [value], outputs: [])
    let place = Place.buffer(try addBuffer(operand, for: node))
    drafts.append(
      Draft(
        node: node, request: nil,
        run: { kernels.copy($0.inputs[0]!, operand, to: layout, into: $0.outputs[0]!, $0.parallel) },
        inputs: [existing], outputs: [place], workspace: 0, overwritable: []))
    values[value]!.places[layout] = place
    return place
  }
}

extension Operand {
  var byteCount: Int { shape.count * type.byteCount }
}
