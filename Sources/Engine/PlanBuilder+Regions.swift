import Graph
import Kernels
import Operators
import Tensors

/// Which steps of a plan can run by regions: convolutions, pools, and what works pixel by pixel, as long as all they
/// read of the image are maps that were made so. What comes after anything else (a global pool, a factor from one,
/// attention) changes everywhere, and runs as ever.
extension PlanBuilder {
  mutating func buildRegional(
    feeds declared: [(value: ValueID, type: ElementType, shape: Shape)], image: ValueID, fetches: [ValueID],
    _ engine: Engine
  ) throws -> RegionalPlan? {
    guard let feed = declared.firstIndex(where: { $0.value == image }) else { return nil }
    fusesMaps = false
    let live = try prepare(declared, [:], fetches)
    guard let known = values[image]?.operand, known.type == .float32, known.shape.rank == 4, known.shape[0] == 1 else {
      return nil
    }
    // Parts of images lie as those of all maps.
    values[image] = Value(
      operand: Operand(.float32, known.shape, layout: .channelsLast), places: [.channelsLast: .feed(feed)])
    feeds[feed] = Operand(.float32, known.shape, layout: .channelsLast)
    for i in live { try add(at: i) }
    let plan = try finish(fetches, seam: nil, keepsAll: true)
    var search = RegionalSearch(feed: feed, image: known.shape)
    for (i, draft) in drafts.filter({ !$0.isAbsorbed }).enumerated() { try search.take(draft, i, plan) }
    guard !search.parts.isEmpty else { return nil }
    // What is left to run, and what it reads. The graph does not know the values that joining its nodes brought.
    let made = Dictionary(search.parts.map { ($0.value, $0.output) }) { $1 }
    let graph = engine.graph
    let rest = graph.live(for: fetches, known: Set(graph.constants.keys).union(made.keys).union(declared.map(\.value)))
    let read = Set(rest.flatMap { graph.read(by: graph.nodes[$0]) } + fetches)
    return RegionalPlan(
      plan, image: image, feed: feed, maps: search.maps, parts: search.parts,
      frontier: made.filter { read.contains($0.key) }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
      readsImage: read.contains(image), restCost: search.restCost, fetches: fetches, engine: engine)
  }
}

/// Goes through the steps of a plan in order.
private struct RegionalSearch {
  private(set) var maps: [RegionalPlan.Maps]
  private(set) var parts: [RegionalPlan.Part] = []
  /// What depends on the image and does not run by regions costs, in multiplications of direct sums.
  private(set) var restCost = 0.0
  private let feed: Int
  /// Which maps each buffer holds.
  private var held: [Int: Int] = [:]
  /// Buffers that depend on the image.
  private var dependent: Set<Int> = []

  init(feed: Int, image: Shape) {
    self.feed = feed
    maps = [RegionalPlan.Maps(image, .feed(feed))]
  }

  private func depends(_ place: PlanBuilder.Place?) -> Bool {
    switch place {
    case .buffer(let buffer): dependent.contains(buffer)
    case .feed(let i): i == feed
    default: false
    }
  }

  private func maps(at place: PlanBuilder.Place?, _ operand: Operand?) -> Int? {
    let found: Int?
    switch place {
    case .buffer(let buffer): found = held[buffer]
    case .feed(let i): found = i == feed ? 0 : nil
    default: found = nil
    }
    guard let found, let operand, operand.type == .float32, operand.shape == maps[found].shape else { return nil }
    return found
  }

  mutating func take(_ draft: PlanBuilder.Draft, _ step: Int, _ plan: Plan) throws {
    guard draft.inputs.contains(where: { depends($0) }) else { return }
    for case .buffer(let buffer)? in draft.outputs { dependent.insert(buffer) }
    guard let part = try part(draft, step) else {
      restCost += draft.wholeCost
      return
    }
    guard case .buffer(let buffer)?? = draft.outputs.first, let location = plan.steps[step].outputs[0],
      let shape = draft.shape
    else { return }
    held[buffer] = maps.count
    maps.append(RegionalPlan.Maps(shape, location))
    parts.append(part)
  }

  private func part(_ draft: PlanBuilder.Draft, _ step: Int) throws -> RegionalPlan.Part? {
    guard let request = draft.request, draft.outputs.count == 1, let value = draft.node.output(0),
      let shape = draft.shape, shape.rank == 4, shape[0] == 1, shape.count > 0
    else { return nil }
    let read = draft.inputs.enumerated().map { i, place in
      depends(place) ? maps(at: place, request.inputs[i]) : nil
    }
    // All that depends on the image must be maps.
    guard !draft.inputs.indices.contains(where: { depends(draft.inputs[$0]) && read[$0] == nil }) else { return nil }
    func part(_ kind: RegionalPlan.Part.Kind) -> RegionalPlan.Part {
      RegionalPlan.Part(
        step: step, value: value, inputs: read, output: maps.count, kind: kind, multiplyAdds: draft.multiplyAdds,
        wholeCost: draft.wholeCost)
    }
    if let regional = draft.regional {
      let others = read.indices.filter { read[$0] != nil && $0 != 0 && $0 != regional.residual }
      return read[0] != nil && others.isEmpty ? part(.windows(regional)) : nil
    }
    guard let definition = Operators.definition(draft.node.operation, domain: draft.node.domain),
      try definition.locality(request).contains(.pixel)
    else { return nil }
    let pixels = RegionalPlan.Pixels(definition: definition, request: request, maps: read.map { $0 != nil })
    return try pixels.isRegional(shape, draft.inputs) ? part(.pixels(pixels)) : nil
  }
}

extension PlanBuilder.Draft {
  /// In multiplications of direct sums.
  fileprivate var wholeCost: Double { regional?.wholeCost ?? Double(multiplyAdds) }
}
