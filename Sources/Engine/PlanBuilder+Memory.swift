import Graph
import Operators
import Parallel
import Tensors

/// The end of planning: which buffers share memory, and where each lies.
extension PlanBuilder {
  /// `seam` counts the steps before the cut, and the fetches that are taken there. With `keepsAll` every value is there
  /// at the end of a run.
  func finish(
    _ fetches: [ValueID], seam: (steps: Int, earlyCount: Int)?, keepsAll: Bool = false
  ) throws -> Plan {
    let drafts = drafts.filter { !$0.isAbsorbed }
    var lives = [ClosedRange<Int>?](repeating: nil, count: bufferSizes.count)
    for (i, draft) in drafts.enumerated() {
      for case .buffer(let buffer)? in draft.inputs + draft.outputs {
        lives[buffer] = (lives[buffer]?.lowerBound ?? i)...i
      }
    }
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
        lives[buffer] = lives[buffer]!.lowerBound...max(end, lives[buffer]!.upperBound)
      }
    }
    let shared = shareMemory(drafts, &lives)
    let arena = try Arena(
      bufferSizes.indices.map { .init(byteCount: lives[$0] == nil ? 0 : bufferSizes[$0], life: lives[$0] ?? 0...0) }
    ) { try progress.polling.advance(0, of: 1) }
    func location(_ place: Place) -> Plan.Location {
      switch place {
      case .feed(let i): .feed(i)
      case .constant(let tensor): .constant(tensor)
      case .buffer(let buffer): .arena(offset: arena.offsets[shared[buffer]])
      }
    }
    let workspace = drafts.map(\.workspace).max() ?? 0
    try checkLimit(arena.byteCount, workspace, fetches)
    return Plan(
      feeds: feeds,
      steps: drafts.map { draft in
        Plan.PlannedStep(
          title: draft.node.title, operation: draft.node.operation, shape: draft.shape,
          multiplyAdds: draft.multiplyAdds, run: draft.run, inputs: draft.inputs.map { $0.map(location) },
          outputs: draft.outputs.map { $0.map(location) })
      },
      fetches: fetches.map { value in
        let known = (values[value] ?? constantValue(value))!
        return Plan.Fetch(
          operand: known.operand, location: location(known.places[known.operand.layout]!),
          declared: declaredType(of: value) ?? known.operand.type)
      },
      seam: seam, arenaByteCount: arena.byteCount, workspaceByteCount: workspace, kernels: kernels, parallel: parallel,
      pool: pool)
  }

  /// All that one run needs: working memory, what the plan keeps, and the results, which a type may make wider.
  private func checkLimit(_ arena: Int, _ workspace: Int, _ fetches: [ValueID]) throws {
    let results = fetches.map { value in
      (values[value] ?? constantValue(value)).map { $0.operand.shape.count * 8 } ?? 0
    }
    let parts = [arena, workspace, foldedByteCount] + results
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
