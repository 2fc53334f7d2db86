import Engine
import Graph
import Models
import Parallel
import Tensors

/// One run of `Naming`: what is known of each filter while pictures go by.
struct Survey {
  private let naming: Naming
  /// Empty until the layer is known, where all of its filters are named.
  private var filters: [Int]
  private let explainer: FilterExplainer
  private let pictures: PictureSet
  private let call: Call
  private let parallel: Parallel
  /// For each filter, its most exciting pictures: activation descending, then index ascending.
  private var best: [[Candidate]] = []
  private var tails: [Tail] = []
  private var thresholds: [Double?] = []
  /// Pictures done so far, in both passes.
  private var done = 0
  /// Units of progress: a picture seen is one.
  private let units: (first: Int, second: Int, words: Int)

  init(_ naming: Naming, _ filters: [Int]?, _ explainer: FilterExplainer, _ pictures: PictureSet, _ call: Call) {
    self.naming = naming
    self.filters = filters ?? []
    self.explainer = explainer
    self.pictures = pictures
    self.call = call
    parallel = explainer.model.parallel(for: call)
    let chosen = min(pictures.count, (filters?.count ?? pictures.count) * naming.pictures)
    units = (pictures.count, naming.attention.needsThreshold ? chosen : 0, max(1, pictures.count / 8))
  }

  private var total: Int { units.first + units.second + units.words }

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

  // MARK: All pictures

  private mutating func lookAtAll() throws {
    try forEachBatch(of: Array(0..<pictures.count), done: 0, fetch: [explainer.features]) { survey, indices, tensors in
      for (row, index) in indices.enumerated() {
        try survey.look(at: FeatureMaps(tensors[0], row), of: index)
      }
    }
  }

  private mutating func look(at maps: FeatureMaps, of picture: Int) throws {
    var entered: [Int] = []
    if best.isEmpty { try prepare(maps) }
    for (f, filter) in filters.enumerated() {
      try explainer.check(filter, of: maps)
      if !tails.isEmpty { tails[f].add(maps[filter]) }
      let activation = maps.maximum(of: filter)
      guard activation > 0, accepts(f, activation) else { continue }
      enter(f, Candidate(picture: picture, activation: activation, strength: try strength(maps, filter, activation)))
      entered.append(f)
    }
    guard !naming.attention.needsThreshold else { return }
    try embed(entered, maps, picture) { naming, map, _ in naming.attention.weights(of: map, threshold: 0) }
  }

  /// Makes room, once the layer is known.
  private mutating func prepare(_ maps: FeatureMaps) throws {
    if filters.isEmpty { filters = Array(0..<maps.channels) }
    best = Array(repeating: [], count: filters.count)
    thresholds = Array(repeating: nil, count: filters.count)
    if naming.attention.needsThreshold { try prepareTails(maps.positions) }
  }

  private mutating func prepareTails(_ positions: Int) throws {
    let (count, overflow) = pictures.count.multipliedReportingOverflow(by: positions)
    guard !overflow, count < 1 << 40 else { throw Failure(.unsupported, "\(pictures.count) images are too many") }
    let size = Tail.capacity(naming.quantile, count).multipliedReportingOverflow(by: 4 * filters.count)
    guard !size.overflow else { throw Failure(.unsupported, "\(filters.count) filters are too many") }
    try explainer.model.engine.limit.check(
      size.partialValue,
      for: "the quantile \(naming.quantile) of \(filters.count) filters over \(pictures.count) images")
    tails = Array(repeating: Tail(quantile: naming.quantile, of: count), count: filters.count)
  }

  /// Pictures come in order, so one that is only as exciting stands behind.
  private func accepts(_ f: Int, _ activation: Float) -> Bool {
    best[f].count < naming.pictures || (best[f].last.map { $0.activation < activation } ?? false)
  }

  private mutating func enter(_ f: Int, _ candidate: Candidate) {
    let place = best[f].firstIndex { $0.activation < candidate.activation } ?? best[f].count
    best[f].insert(candidate, at: place)
    if best[f].count > naming.pictures { best[f].removeLast() }
  }

  private func strength(_ maps: FeatureMaps, _ filter: Int, _ activation: Float) throws -> Float {
    let size = explainer.model.inputSize
    guard naming.weighting == .enlarged, let width = size.width, let height = size.height else { return activation }
    return FeatureMaps.maximum(try maps.enlarged(filter, to: (width, height)))
  }

  /// Word vectors of what the filters at `places` see in a picture, with weights from `weights(naming, map,
  /// place)`.
  private mutating func embed(
    _ places: [Int], _ maps: FeatureMaps, _ picture: Int,
    _ weights: (Naming, UnsafeBufferPointer<Float>, Int) -> [Float]
  ) throws {
    // In parts, because a layer of thousands of filters enters at once in the first pictures.
    for first in stride(from: 0, to: places.count, by: 64) {
      let part = places[first..<min(places.count, first + 64)]
      let all = part.flatMap { weights(naming, maps[filters[$0]], $0) }
      let made = try explainer.embeddings(of: explainer.attended(maps, all, parallel), rows: part.count, parallel)
      for (row, f) in part.enumerated() { set(made, row, f, picture) }
    }
  }

  private mutating func set(_ embeddings: [Float], _ row: Int, _ f: Int, _ picture: Int) {
    guard let place = best[f].firstIndex(where: { $0.picture == picture }) else { return }
    let size = explainer.vocabulary.size
    best[f][place].embedding = Array(embeddings[row * size..<(row + 1) * size])
  }

  // MARK: The chosen pictures again, with thresholds

  private mutating func lookAgain() throws {
    guard let input = explainer.model.input?.value else {
      throw Failure(.unsupported, "the model has no input for images")
    }
    let chosen = Set(best.joined().map(\.picture)).sorted()
    let fetches = naming.attention == .image ? [explainer.features, input] : [explainer.features]
    try forEachBatch(of: chosen, done: units.first, fetch: fetches) { survey, indices, tensors in
      for (row, index) in indices.enumerated() {
        let maps = try FeatureMaps(tensors[0], row)
        let places = survey.filters.indices.filter { f in survey.best[f].contains { $0.picture == index } }
        if survey.naming.attention == .image {
          try survey.embedMasked(places, maps, tensors[1], row, index)
        } else {
          let thresholds = survey.thresholds
          try survey.embed(places.filter { survey.sees($0, maps) }, maps, index) { naming, map, f in
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

  /// The whole network on the picture with only the filter's region left.
  private mutating func embedMasked(
    _ places: [Int], _ maps: FeatureMaps, _ inputs: Tensor, _ row: Int, _ picture: Int
  ) throws {
    for f in places {
      try call.progress.advance(done, of: total)
      guard
        let features = try explainer.features(
          ofRegion: filters[f], above: thresholds[f] ?? 0, maps, inputs, row, parallel)
      else { continue }
      let masked = try FeatureMaps(features, 0)
      let weights = [Float](repeating: 1, count: masked.positions)
      set(
        try explainer.embeddings(of: explainer.attended(masked, weights, parallel), rows: 1, parallel), 0, f, picture)
    }
  }

  // MARK: Words

  private mutating func findWords() throws {
    let all = best.joined().flatMap(\.embedding)
    let progress = call.progress.range(units.first + units.second..<total, of: total)
    var found = try explainer.words(naming.words, near: all, parallel, progress)[...]
    for f in best.indices {
      for i in best[f].indices { best[f][i].words = found.popFirst() ?? [] }
    }
  }

  // MARK: Batches

  private mutating func forEachBatch(
    of indices: [Int], done before: Int, fetch: [ValueID], _ body: (inout Survey, [Int], [Tensor]) throws -> Void
  ) throws {
    let wanted = call.batchSize > 0 ? call.batchSize : Call.defaultBatchSize
    let size = pictures.limit > 0 ? min(wanted, pictures.limit) : wanted
    for first in stride(from: 0, to: indices.count, by: size) {
      let part = Array(indices[first..<min(indices.count, first + size)])
      var call = call
      call.progress = call.progress.range(before + first..<before + first + part.count, of: total)
      try pictures.lend(part) { lent in
        try explainer.model.forEachBatch(of: lent.map(\.picture), fetch: fetch, call) { start, count, tensors in
          done = before + first + (start + count) * part.count / lent.count
          try body(&self, lent[start..<start + count].map(\.index), tensors)
        }
      }
    }
  }
}
