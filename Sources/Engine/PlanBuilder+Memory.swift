import Graph
import Operators
import Parallel
import Tensors

/// The end of planning: which buffers share memory, and where each lies.
extension PlanBuilder {
  /// `seam` counts the steps before the cut, and the fetches that are taken there. With `keepsAll` every value is there
  /// at the end of a run. What comes before is run image by image.
  func finish(
    _ fetches: [ValueID], seam: (steps: Int, earlyCount: Int)?, keepsAll: Bool = false,
    after beginning: Beginning? = nil
  ) throws -> Plan {
    let all = drafts.filter { !$0.isAbsorbed }
    var drafts = Array(all.dropFirst(beginning?.count ?? 0))
    var seam = seam
    if !keepsAll {
      let places = fetches.compactMap { values[$0]?.places.values }.joined()
      let fetched = Set(places.compactMap { if case .buffer(let buffer) = $0 { buffer } else { nil } })
      let joined = chained(drafts, keeping: fetched, boundary: seam?.steps ?? 0)
      drafts = joined.drafts
      seam = seam.map { (joined.boundary, $0.earlyCount) }
    }
    var lives = lives(drafts)
    if keepsAll { for i in lives.indices { lives[i] = lives[i].map { $0.lowerBound...drafts.count } } }
    if let seam {
      // Every round reads what was computed before the cut.
      for case (let buffer, let life?) in lives.enumerated()
      where life.lowerBound < seam.steps && life.upperBound >= seam.steps {
        lives[buffer] = life.lowerBound...drafts.count
      }
    }
    for (i, value) in fetches.enumerated() {
      guard let known = values[value] ?? constantValue(value) else {
        throw Failure(.notFound, "the model has no value named \(quoted(graph.name(of: value)))")
      }
      if case .buffer(let buffer)? = known.places[known.operand.layout] {
        let end = seam.map { i < $0.earlyCount ? $0.steps : drafts.count } ?? drafts.count
        lives[buffer] = (lives[buffer]?.lowerBound ?? 0)...max(end, lives[buffer]?.upperBound ?? 0)
      }
    }
    var results: [Int] = []
    for case .buffer(let buffer)? in all.prefix(beginning?.count ?? 0).flatMap(\.outputs) {
      guard let life = lives[buffer] else { continue }
      lives[buffer] = 0...life.upperBound
      results.append(buffer)
    }
    let memory = try memory(of: drafts, &lives)
    let opening = try beginning.map { try $0.builder.opening($0, results, memory) }
    try checkLimit(memory, opening, fetches)
    return Plan(
      feeds: feeds, opening: opening, steps: planned(drafts, memory),
      fetches: fetches.map { value in
        let known = (values[value] ?? constantValue(value))!
        return Plan.Fetch(
          operand: known.operand, location: memory.location(known.places[known.operand.layout]!),
          declared: declaredType(of: value) ?? known.operand.type)
      },
      seam: seam, arenaByteCount: memory.byteCount, workspaceByteCount: memory.workspaceByteCount, kernels: kernels,
      parallel: parallel, pool: pool)
  }

  /// The steps of one image, after which `results` are brought to where all images' lie.
  private func opening(_ beginning: Beginning, _ results: [Int], _ target: Memory) throws -> Opening {
    let drafts = chained(
      Array(drafts.filter { !$0.isAbsorbed }.prefix(beginning.count)), keeping: Set(results)
    ).drafts
    var lives = lives(drafts)
    for buffer in results { lives[buffer] = lives[buffer].map { $0.lowerBound...drafts.count } }
    let memory = try memory(of: drafts, &lives)
    let plan = Plan(
      feeds: feeds, opening: nil, steps: planned(drafts, memory), fetches: [], seam: nil,
      arenaByteCount: memory.byteCount, workspaceByteCount: memory.workspaceByteCount, kernels: kernels,
      parallel: parallel, pool: pool)
    return Opening(
      plan: plan, images: beginning.images, isDivided: beginning.isDivided,
      results: results.map { (memory.offset($0), target.offset($0), bufferSizes[$0]) })
  }

  /// Where the values of some steps lie.
  private struct Memory {
    let arena: Arena
    /// The buffer whose memory each buffer uses.
    let owners: [Int]
    let workspaceByteCount: Int

    var byteCount: Int { arena.byteCount }
    func offset(_ buffer: Int) -> Int { arena.offsets[owners[buffer]] }

    func location(_ place: Place) -> Plan.Location {
      switch place {
      case .feed(let i): .feed(i)
      case .constant(let tensor): .constant(tensor)
      case .buffer(let buffer): .arena(offset: offset(buffer))
      }
    }
  }

  private func memory(of drafts: [Draft], _ lives: inout [ClosedRange<Int>?]) throws -> Memory {
    let owners = shareMemory(drafts, &lives)
    let arena = try Arena(
      bufferSizes.indices.map { .init(byteCount: lives[$0] == nil ? 0 : bufferSizes[$0], life: lives[$0] ?? 0...0) }
    ) { try progress.polling.advance(0, of: 1) }
    return Memory(arena: arena, owners: owners, workspaceByteCount: drafts.map(\.workspace).max() ?? 0)
  }

  /// From where each buffer is first used to where it is last.
  private func lives(_ drafts: [Draft]) -> [ClosedRange<Int>?] {
    var lives = [ClosedRange<Int>?](repeating: nil, count: bufferSizes.count)
    for (i, draft) in drafts.enumerated() {
      for case .buffer(let buffer)? in draft.inputs + draft.outputs {
        lives[buffer] = (lives[buffer]?.lowerBound ?? i)...i
      }
    }
    return lives
  }

  private func planned(_ drafts: [Draft], _ memory: Memory) -> [Plan.PlannedStep] {
    drafts.map { draft in
      Plan.PlannedStep(
        title: draft.node.title, operation: draft.node.operation, shape: draft.shape, multiplyAdds: draft.multiplyAdds,
        run: draft.run, inputs: draft.inputs.map { $0.map(memory.location) },
        outputs: draft.outputs.map { $0.map(memory.location) })
    }
  }

  /// All that one run needs: working memory, what the plan keeps, and the results, which a type may make wider.
  private func checkLimit(_ memory: Memory, _ opening: Opening?, _ fetches: [ValueID]) throws {
    let results = fetches.map { value in
      (values[value] ?? constantValue(value)).map { $0.operand.shape.count * 8 } ?? 0
    }
    let parts =
      [memory.byteCount, memory.workspaceByteCount, opening?.byteCount ?? 0, foldedByteCount] + results
    let total = parts.reduce((0, false)) { sum, part in
      let (next, overflow) = sum.0.addingReportingOverflow(part)
      return (next, sum.1 || overflow)
    }
    try limit.check(total.1 ? .max : total.0, for: "the model's working memory")
  }

  /// Lets a step write over an input that nobody reads after it. Returns the buffer whose memory each buffer uses.
  private func shareMemory(_ drafts: [Draft], _ lives: inout [ClosedRange<Int>?]) -> [Int] {
    var owner = Array(bufferSizes.indices)
    for (i, draft) in drafts.enumerated() {
      guard case .buffer(let output)?? = draft.outputs.first else { continue }
      for k in draft.overwritable {
        guard case .buffer(let input)? = draft.inputs[k] else { continue }
        let root = owner[input]
        let isReadElsewhere = draft.inputs.indices.contains {
          !draft.overwritable.contains($0) && uses(draft.inputs[$0], root, owner)
        }
        guard lives[root]!.upperBound == i, bufferSizes[root] >= bufferSizes[output], !isReadElsewhere else { continue }
        owner[output] = root
        lives[root] = lives[root]!.lowerBound...lives[output]!.upperBound
        lives[output] = nil
        break
      }
    }
    return owner
  }

  private func uses(_ place: Place?, _ buffer: Int, _ owner: [Int]) -> Bool {
    if case .buffer(let other)? = place { owner[other] == buffer } else { false }
  }

  private func constantValue(_ value: ValueID) -> Value? {
    graph.constants[value].map {
      Value(operand: Operand($0.type, $0.shape, constant: $0), places: [.standard: .constant($0)])
    }
  }

  private func declaredType(of value: ValueID) -> ElementType? {
    graph.outputs.first { $0.value == value }?.type
  }
}
