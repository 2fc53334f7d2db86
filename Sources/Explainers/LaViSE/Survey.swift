import Engine
import Graph
import Models
import Parallel
import Tensors

/// One run of `Naming`: what is known of each filter while images go by.
struct Survey {
  private let naming: Naming
  /// Empty until the layer is known, where all of its filters are named.
  private var filters: [Int]
  private let explainer: FilterExplainer
  private let images: ImageSet
  private let call: Call
  private let parallel: Parallel
  /// For each filter, its most exciting images: activation descending, then index ascending.
  private var best: [[Candidate]] = []
  private var tails: [Tail] = []
  private var thresholds: [Double?] = []
  /// Of the passes over all images and over the chosen ones again, and of finding words.
  private let progress: (first: Progress, second: Progress, words: Progress)

  init(
    _ naming: Naming, _ filters: [Int]?, _ explainer: FilterExplainer, _ images: ImageSet, _ call: Call,
    _ progress: Progress
  ) {
    self.naming = naming
    self.filters = filters ?? []
    self.explainer = explainer
    self.images = images
    self.call = call
    parallel = explainer.model.parallel(for: call)
    // In floating point: a caller's count may be any number.
    let all = Double(images.count)
    let chosen = min(all, (filters.map { Double($0.count) } ?? all) * Double(naming.images))
    // An image seen is one; with a region it runs twice.
    let second = naming.attention == .image ? 2 * chosen : naming.attention.needsThreshold ? chosen : 0
    let parts = progress.parts(all, second, max(1, all / 8))
    self.progress = (parts[0], parts[1], parts[2])
  }

  mutating func run() throws -> [FilterName] {
    try lookAtAll()
    if naming.attention.needsThreshold {
      for f in filters.indices { thresholds[f] = tails[f].value }
      tails = []
      try lookAgain()
    }
    try findWords()
    return filters.indices.map { f in
      naming.name(filters[f], best[f], threshold: thresholds[f], explainer.vocabulary)
    }
  }

  // MARK: All images

  private mutating func lookAtAll() throws {
    try forEachBatch(of: 0..<images.count, fetch: [explainer.features], progress.first) { survey, batch in
      for (row, index) in batch.items.enumerated() {
        try survey.look(at: FeatureMaps(batch.tensors[0], row), of: index, batch.progress)
      }
    }
  }

  private mutating func look(at maps: FeatureMaps, of image: Int, _ progress: Progress) throws {
    var entered: [Int] = []
    if best.isEmpty { try prepare(maps) }
    for (f, filter) in filters.enumerated() {
      try explainer.check(filter, of: maps)
      if !tails.isEmpty { tails[f].add(maps[filter]) }
      let activation = maps.maximum(of: filter)
      guard activation > 0, accepts(f, activation) else { continue }
      enter(f, Candidate(image: image, activation: activation, strength: try strength(maps, filter, activation)))
      entered.append(f)
    }
    guard !naming.attention.needsThreshold else { return }
    try embed(entered, maps, image, progress) { naming, map, _ in naming.attention.weights(of: map, threshold: 0) }
  }

  /// Makes room, once the layer is known.
  private mutating func prepare(_ maps: FeatureMaps) throws {
    if filters.isEmpty { filters = Array(0..<maps.channels) }
    best = Array(repeating: [], count: filters.count)
    thresholds = Array(repeating: nil, count: filters.count)
    if naming.attention.needsThreshold { try prepareTails(maps.positions) }
  }

  private mutating func prepareTails(_ positions: Int) throws {
    let (count, overflow) = images.count.multipliedReportingOverflow(by: positions)
    guard !overflow, count < 1 << 40 else { throw Failure(.unsupported, "\(images.count) images are too many") }
    let size = Tail.capacity(naming.quantile, count).multipliedReportingOverflow(by: 4 * filters.count)
    guard !size.overflow else { throw Failure(.unsupported, "\(filters.count) filters are too many") }
    try explainer.model.engine.limit.check(
      size.partialValue,
      for: "the quantile \(naming.quantile) of \(filters.count) filters over \(images.count) images")
    tails = Array(repeating: Tail(quantile: naming.quantile, of: count), count: filters.count)
  }

  /// Images come in order, so one that is only as exciting stands behind.
  private func accepts(_ f: Int, _ activation: Float) -> Bool {
    best[f].count < naming.images || (best[f].last.map { $0.activation < activation } ?? false)
  }

  private mutating func enter(_ f: Int, _ candidate: Candidate) {
    let place = best[f].firstIndex { $0.activation < candidate.activation } ?? best[f].count
    best[f].insert(candidate, at: place)
    if best[f].count > naming.images { best[f].removeLast() }
  }

  private func strength(_ maps: FeatureMaps, _ filter: Int, _ activation: Float) throws -> Float {
    let size = explainer.model.inputSize
    guard naming.weighting == .enlarged, let width = size.width, let height = size.height else { return activation }
    return FeatureMaps.maximum(try maps.enlarged(filter, to: (width, height)))
  }

  /// Word vectors of what the filters at `places` see in an image, with weights from `weights(naming, map,
  /// place)`.
  private mutating func embed(
    _ places: [Int], _ maps: FeatureMaps, _ image: Int, _ progress: Progress,
    _ weights: (Naming, UnsafeBufferPointer<Float>, Int) -> [Float]
  ) throws {
    // In parts, because a layer of thousands of filters enters at once in the first images.
    for first in stride(from: 0, to: places.count, by: 64) {
      let part = places[first..<min(places.count, first + 64)]
      let all = part.flatMap { weights(naming, maps[filters[$0]], $0) }
      let made = try explainer.embeddings(
        of: explainer.attended(maps, all, parallel), rows: part.count, parallel, progress)
      for (row, f) in part.enumerated() { set(made, row, f, image) }
    }
  }

  private mutating func set(_ embeddings: [Float], _ row: Int, _ f: Int, _ image: Int) {
    guard let place = best[f].firstIndex(where: { $0.image == image }) else { return }
    let size = explainer.vocabulary.size
    best[f][place].embedding = Array(embeddings[row * size..<(row + 1) * size])
  }

  // MARK: The chosen images again, with thresholds

  private mutating func lookAgain() throws {
    guard let input = explainer.model.input?.value else {
      throw Failure(.unsupported, "the model has no input for images")
    }
    let chosen = Set(best.joined().map(\.image)).sorted()
    let fetches = naming.attention == .image ? [explainer.features, input] : [explainer.features]
    let cost = naming.attention == .image ? 1.0 : 0
    try forEachBatch(of: chosen, fetch: fetches, progress.second, bodyCost: cost) { survey, batch in
      for (row, item) in batch.items.enumerated() {
        let index = chosen[item]
        let maps = try FeatureMaps(batch.tensors[0], row)
        let places = survey.filters.indices.filter { f in survey.best[f].contains { $0.image == index } }
        if survey.naming.attention == .image {
          try survey.embedMasked(
            places, maps, batch.tensors[1], row, index, batch.progress.range(row..<row + 1, of: batch.count))
        } else {
          let thresholds = survey.thresholds
          try survey.embed(places.filter { survey.sees($0, maps) }, maps, index, batch.progress) {
            naming, map, f in
            naming.attention.weights(of: map, threshold: thresholds[f] ?? 0)
          }
        }
      }
    }
    // Where nothing is above the threshold there is no region to name.
    for f in best.indices { best[f].removeAll { $0.embedding.isEmpty } }
  }

  private func sees(_ f: Int, _ maps: FeatureMaps) -> Bool {
    Double(maps.maximum(of: filters[f])) > thresholds[f] ?? 0
  }

  /// The whole network on the image with only the filter's region left.
  private mutating func embedMasked(
    _ places: [Int], _ maps: FeatureMaps, _ inputs: Tensor, _ row: Int, _ image: Int, _ progress: Progress
  ) throws {
    for (i, f) in places.enumerated() {
      guard
        let features = try explainer.features(
          ofRegion: filters[f], above: thresholds[f] ?? 0, maps, inputs, row, parallel,
          progress.range(i..<i + 1, of: places.count))
      else { continue }
      let masked = try FeatureMaps(features, 0)
      let weights = [Float](repeating: 1, count: masked.positions)
      set(
        try explainer.embeddings(
          of: explainer.attended(masked, weights, parallel), rows: 1, parallel, progress.polling),
        0, f, image)
    }
  }

  // MARK: Words

  private mutating func findWords() throws {
    let all = best.joined().flatMap(\.embedding)
    var found = try explainer.words(naming.words, near: all, parallel, progress.words)[...]
    for f in best.indices {
      for i in best[f].indices { best[f][i].words = found.popFirst() ?? [] }
    }
  }

  // MARK: Batches

  private mutating func forEachBatch(
    of indices: some RandomAccessCollection<Int>, fetch: [ValueID], _ progress: Progress, bodyCost: Double = 0,
    _ body: (inout Survey, OutputBatch) throws -> Void
  ) throws {
    let model = explainer.model
    try model.forEachBatch(
      of: model.stream(images, indices, progress), fetch: fetch, call, progress, bodyCost: bodyCost
    ) { try body(&self, $0) }
  }
}
