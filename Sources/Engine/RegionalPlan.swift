public import Graph
public import Kernels
import Operators
public import Parallel
public import Tensors

/// Runs many forms of one image that differ from it in a region each: only what the region reaches is computed again,
/// with the values of the image elsewhere, by the kernels of whole runs. So the bits are those of whole runs, but behind
/// convolutions by Winograd's algorithm: there, what the region does not reach differs in whole runs by rounding, and
/// here not at all.
///
/// The parts of all forms that run together lie one after the other in one buffer for each value, pixel by pixel, so
/// that a convolution reads its weights once for all.
public final class RegionalPlan: Sendable {
  /// Maps [1, channels, height, width], channels-last in memory, and where those of the image lie.
  struct Maps: Sendable {
    let shape: Shape
    let location: Plan.Location

    init(_ shape: Shape, _ location: Plan.Location) { (self.shape, self.location) = (shape, location) }

    var channels: Int { shape[1] }
    var height: Int { shape[2] }
    var width: Int { shape[3] }
  }

  struct Part: Sendable {
    enum Kind: Sendable {
      case windows(RegionalStep)
      case pixels(Pixels)
    }

    /// In the plan of the image.
    let step: Int
    let value: ValueID
    /// Which maps each input is.
    let inputs: [Int?]
    let output: Int
    let kind: Kind
    let multiplyAdds: Int
    /// In multiplications of direct sums.
    let wholeCost: Double

    func cost(_ region: Region, of maps: Maps) -> Double {
      switch kind {
      case .windows(let step): step.cost(region)
      case .pixels: wholeCost * Double(region.area) / Double(maps.height * maps.width)
      }
    }
  }

  /// An operator that works pixel by pixel, planned for as many pixels in a row as there are.
  struct Pixels: Sendable {
    let definition: OperatorDefinition
    let request: Request
    /// Which inputs are maps.
    let maps: [Bool]

    /// Whether the result is the channels of one input after those of the other.
    var joinsMaps: Bool { request.node.operation == "Concat" && maps.allSatisfy { $0 } }

    func step(_ pixels: Int) throws -> Step {
      let inputs = try zip(request.inputs, maps).map { operand, isMap in
        guard isMap, let operand else { return operand }
        return Operand(.float32, try Shape(checking: [1, operand.shape[1], pixels, 1]), layout: .channelsLast)
      }
      return try definition.plan(
        Request(
          node: request.node, opset: request.opset, inputs: inputs, wanted: request.wanted, kernels: request.kernels,
          parallel: request.parallel, weights: request.weights))
    }

    /// Whether the other inputs are the same at every pixel, and the step lies as is wanted.
    func isRegional(_ shape: Shape, _ places: [PlanBuilder.Place?]) throws -> Bool {
      for (i, operand) in request.inputs.enumerated() where !maps[i] && i < places.count && places[i] != nil {
        guard let operand, case .constant? = places[i] else { return false }
        let isVector = request.node.operation == "BatchNormalization"
        guard isVector || operand.shape.dimensions.suffix(2).allSatisfy({ $0 == 1 }) else { return false }
      }
      for (operand, isMap) in zip(request.inputs, maps) where isMap {
        guard operand?.shape.dimensions.suffix(2) == shape.dimensions.suffix(2) else { return false }
      }
      let step = try step(2)
      guard case .run = step.action, step.outputs.count == 1, step.outputs[0].layout == .channelsLast,
        step.outputs[0].type == .float32, step.outputs[0].shape == [1, shape[1], 2, 1]
      else { return false }
      return zip(step.inputLayouts, maps).allSatisfy { layout, isMap in !isMap || layout == .channelsLast }
    }
  }

  let plan: Plan
  let image: ValueID
  let feed: Int
  let maps: [Maps]
  let parts: [Part]
  /// What the rest of the graph reads of the parts.
  let frontier: [(value: ValueID, maps: Int)]
  /// Whether the rest reads the image too.
  public let readsImage: Bool
  private let restCost: Double
  private let fetches: [ValueID]
  let engine: Engine

  init(
    _ plan: Plan, image: ValueID, feed: Int, maps: [Maps], parts: [Part], frontier: [(value: ValueID, maps: Int)],
    readsImage: Bool, restCost: Double, fetches: [ValueID], engine: Engine
  ) {
    (self.plan, self.image, self.feed, self.maps, self.parts) = (plan, image, feed, maps, parts)
    (self.frontier, self.readsImage, self.restCost) = (frontier, readsImage, restCost)
    (self.fetches, self.engine) = (fetches, engine)
  }

  /// What forms that differ in these regions cost, in terms of as many whole runs.
  public func share(of regions: [Region]) -> Double {
    var some = restCost
    var all = restCost
    for part in parts { all += part.wholeCost }
    for region in regions {
      let found = reached([region])
      for part in parts {
        some += part.cost(found[part.output].regions[0], of: maps[part.output]) / Double(regions.count)
      }
    }
    return all > 0 ? some / all : 1
  }

  /// Whether forms with these regions, as many at once as may run together, fit into the memory limit beside the image.
  public func fits(_ regions: [Region], batch: Int) throws -> Bool {
    var most = 0
    for start in stride(from: 0, to: regions.count, by: max(1, batch)) {
      most = max(most, try byteCount(reached(Array(regions[start..<min(regions.count, start + max(1, batch))]))))
    }
    return plan.byteCount <= engine.limit.bytes - min(most, engine.limit.bytes)
  }

  /// For each of the maps, the regions that differ where those of the image do.
  func reached(_ regions: [Region]) -> [RegionList] {
    var found = [RegionList(regions)]
    for part in parts {
      let read = part.inputs.enumerated().compactMap { i, maps in maps.map { (i, found[$0].regions) } }
      let own = regions.indices.map { form in
        read.reduce(Region.empty) { sum, input in
          if case .windows(let step) = part.kind, input.0 == 0 { return sum.union(step.reach(input.1[form])) }
          return sum.union(input.1[form])
        }
      }
      found.append(RegionList(own))
    }
    return found
  }

  /// The image itself, run and kept.
  public struct Base: Sendable {
    let feeds: [Tensor]
    let block: Storage
  }

  /// Runs the image, `feeds` in the order of the plan and in ONNX order of axes.
  public func start(_ feeds: [Tensor], progress: Progress) throws -> Base {
    var feeds = try feeds.map { try $0.computed().aligned() }
    feeds[feed] = try channelsLast(feeds[feed])
    let block = try Storage(byteCount: plan.byteCount)
    try plan.run(plan.steps.indices, of: plan.steps.count, feeds, block, progress)
    return Base(feeds: feeds, block: block)
  }

  private func channelsLast(_ tensor: Tensor) throws -> Tensor {
    let result = try Tensor(.float32, Layout.channelsLast.physical(tensor.shape))
    plan.kernels.copy(
      tensor.data, Operand(.float32, tensor.shape), to: .channelsLast, into: result.data, plan.parallel)
    return result
  }

  /// How many forms may run at once where so many images may: their regions run so many at a time, what is behind them
  /// for all, where that reads weights for little else, as fully connected layers do.
  public func formsAtOnce(batch: Int) -> Int {
    let values = frontier.reduce(0) { $0 + maps[$1.maps].shape.count }
    return batch > 1 && !readsImage && 4 * values <= maps[0].shape.count ? 4 * batch : batch
  }

  /// What is fetched of forms of the image, each of which differs from it within its region only; `write` writes form
  /// `i`, [channels, height, width]. Regions run `batch` forms at a time. `others` are what the rest of the graph is fed
  /// beside, for as many forms.
  public func run(
    _ regions: [Region], batch: Int, _ base: Base, others: [(value: ValueID, tensor: Tensor)], progress: Progress,
    write: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void
  ) throws -> [Tensor] {
    let shares = progress.parts(Double(max(1, parts.count)), 1)
    let forms = readsImage ? regions.count : min(regions.count, max(1, batch))
    let images = try tensor(of: forms, maps[0].shape, "images")
    let values = try frontier.map { try tensor(of: regions.count, maps[$0.maps].shape, "values") }
    let start = images.data.assumingMemoryBound(to: Float.self)
    for first in stride(from: 0, to: regions.count, by: forms) {
      let items = first..<min(first + forms, regions.count)
      for i in items { try write(i, start + (i - first) * maps[0].shape.count) }
      try run(
        UnsafePointer(start), Array(regions[items]), base, into: values, from: first,
        shares[0].range(items, of: regions.count))
    }
    var given = zip(frontier, values).map { (value: $0.value, tensor: $1) } + others
    if readsImage { given.append((image, images)) }
    return try engine.run(given, fetch: fetches, parallel: plan.parallel, progress: shares[1])
  }

  /// Of one image's shape, for many.
  private func tensor(of count: Int, _ shape: Shape, _ what: String) throws -> Tensor {
    let full = try Shape(checking: [count] + shape.dimensions.dropFirst())
    try engine.limit.check(4 * full.count, for: "\(count) \(what) of shape \(shape)")
    return try Tensor(.float32, full)
  }
}
