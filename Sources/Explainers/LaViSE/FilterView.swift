public import Graph
public import Models
import Parallel
public import Tensors

/// What one filter sees in one image, and where.
public struct FilterView: Sendable {
  public let reading: FilterReading
  /// The filter's map, row by row: its region alone, zero elsewhere.
  public let region: [Float]
  public let width: Int
  public let height: Int
}

/// How single images are looked at.
public struct Lens: Sendable {
  /// nil: the filter that is most active in the image.
  public var filter: Int?
  public var attention = FilterAttention.projection
  /// What activations of the region are above.
  public var threshold = 0.0
  public var words = 5

  public init() {}
}

extension FilterExplainer {
  /// Looks at images one by one, some of them in one pass: `body` gets their places in the stream, a view of
  /// each, and the values `fetches` for them.
  public func forEachBatch(
    of images: some InputStream, through lens: Lens, fetch fetches: [ValueID], _ call: Call, _ progress: Progress,
    _ body: ([Int], [FilterView], [Tensor]) throws -> Void
  ) throws {
    guard let input = model.input?.value else { throw Failure(.unsupported, "the model has no input for images") }
    let own = lens.attention == .image ? [features, input] : [features]
    // The image with all but a region masked goes through the whole network once more.
    let cost = lens.attention == .image ? 1 : 0.1
    try model.forEachBatch(of: images, fetch: fetches + own, call, progress, bodyCost: cost) { batch in
      let (others, own) = (Array(batch.tensors.prefix(fetches.count)), batch.tensors.suffix(own.count))
      guard let maps = own.first, let inputs = own.last else { return }
      let views = try (0..<batch.count).map { row in
        try view(
          FeatureMaps(maps, row), inputs, row, lens, model.parallel(for: call),
          batch.progress.range(row..<row + 1, of: batch.count))
      }
      try body(batch.items, views, others)
    }
  }

  private func view(
    _ maps: FeatureMaps, _ inputs: Tensor, _ row: Int, _ lens: Lens, _ parallel: Parallel, _ progress: Progress
  ) throws -> FilterView {
    let filter = lens.filter ?? mostActive(maps)
    try check(filter, of: maps)
    let parts = progress.parts(8, 1)
    let embedding = try embedding(of: filter, maps, inputs, row, lens, parallel, parts[0])
    let matches = try words(lens.words, near: embedding, parallel, parts[1]).first ?? []
    let reading = FilterReading(
      filter: filter, activation: maps.maximum(of: filter),
      words: matches.map { .init(text: vocabulary[$0.index], index: $0.index, similarity: $0.similarity) })
    return FilterView(
      reading: reading, region: maps[filter].map { Double($0) > lens.threshold ? $0 : 0 }, width: maps.width,
      height: maps.height)
  }

  /// The first of the filters that are equally active.
  private func mostActive(_ maps: FeatureMaps) -> Int {
    let activations = (0..<maps.channels).map { maps.maximum(of: $0) }
    guard let largest = activations.max() else { return 0 }
    return activations.firstIndex(of: largest) ?? 0
  }

  /// Empty where the filter sees nothing.
  private func embedding(
    of filter: Int, _ maps: FeatureMaps, _ inputs: Tensor, _ row: Int, _ lens: Lens, _ parallel: Parallel,
    _ progress: Progress
  ) throws -> [Float] {
    let activation = maps.maximum(of: filter)
    guard activation > 0 || lens.attention == .original else { return [] }
    var maps = maps
    var weights = lens.attention.weights(of: maps[filter], threshold: lens.threshold)
    guard weights.contains(where: { $0 != 0 }) else { return [] }
    if lens.attention == .image {
      guard let masked = try features(ofRegion: filter, above: lens.threshold, maps, inputs, row, parallel, progress)
      else { return [] }
      maps = try FeatureMaps(masked, 0)
      weights = Array(repeating: 1, count: maps.positions)
    }
    return try embeddings(of: attended(maps, weights, parallel), rows: 1, parallel, progress.polling)
  }
}
