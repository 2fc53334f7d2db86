import Explanations
import Glibc
import Graph
import Models
import Parallel
import Tensors

/// The per-sample information bottleneck (Schulz et al., ICLR 2020): noise is mixed into the layer, as much as the
/// class allows; what must pass is the map, in bits for each pixel.
///
/// λ = G∗σ(α), Z = (λR + (1 − λ)(μ + σ_R ε))·active; Adam on α for −ln p_c + β·mean(capacity), where the capacity of a
/// value is −½(1 + ln(1 − λ)² − (λr̂)² − (1 − λ)²)·active, r̂ = (R − μ)/σ_R. The capacity shown is that of the last
/// pass, in which α is what it was before the last step.
struct IBA: Explainer {
  let name = "iba"
  let summary = "How many bits of each place of a layer the class needs: noise is mixed in as far as it allows."
  let tapsLayers = true
  let drawsNumbers = true
  let readsStatistics = true
  let draws = [
    Draw("mean", "float32 [channels, rows, columns], of the layer over many images; else as kept by `estimate`."),
    Draw("std", "float32 [channels, rows, columns], standard deviation of the layer; likewise."),
    Draw("active", "[channels, rows, columns], 1 where the layer is not always 0; else 1 everywhere."),
    Draw("noise", "float32 [steps, copies, channels, rows, columns], standard normal; else drawn."),
  ]
  let parameters = [
    Parameter("sigma", default: 1.0, in: 0...100, "Standard deviation of the Gaussian over λ, in positions; 0: none."),
    Parameter("beta", default: 10.0, in: 0...1e9, "Weight of the information against the class."),
    Parameter("steps", default: 10, in: 1...100_000, "Steps of Adam."),
    Parameter("rate", default: 1.0, in: 0...1e6, "Adam's learning rate."),
    Parameter("copies", default: 10, in: 1...100_000, "Copies of the image with noise of their own in each step."),
    Parameter("min_std", default: 0.01, in: 0...1e6, "Standard deviations below count as this."),
    Parameter("compat", choices: ["none", "iba"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let noise = try request.draw("noise", [nil, nil, nil, nil, nil])
    let copies = try request.settings.count("copies", fed: noise?.shape[1])
    return try request.explainLayers(.iba) { subject, layer, value, progress in
      let tail = try LayerTail(request, behind: layer.value, of: subject, rows: copies, progress)
      let bottleneck = try Bottleneck(request, layer, tail, value, copies: copies)
      return try subject.classes.enumerated().map { c, index in
        let share = progress.range(c..<c + 1, of: subject.classes.count)
        return try bottleneck.explain(subject, class: index, share)
      }
    }
  }
}

/// The bottleneck behind one image's layer.
private struct Bottleneck {
  private let layer: FeatureLayer
  private let tail: LayerTail
  private let maps: LayerMaps
  private let source: Tensor
  private let mean: [Float]
  private let std: [Float]
  private let active: [Float]
  private let noise: [Float]?
  private let random: RandomNumbers
  private let filter: GaussianFilter?
  private let beta: Double
  private let rate: Double
  private let steps: Int
  private let copies: Int
  private let scoring: Scoring

  private static let start = 5.0

  init(
    _ request: ExplanationRequest, _ layer: FeatureLayer, _ tail: LayerTail, _ value: Tensor, copies: Int
  ) throws {
    (self.layer, self.tail) = (layer, tail)
    self.copies = copies
    source = try value.aligned()
    let maps = try LayerMaps(layer, value, row: 0)
    self.maps = maps
    let shape: [Int?] = [maps.channels, maps.rows, maps.columns]
    let usual = try Self.statistics(request, layer, shape)
    mean = usual.mean.array(of: Float.self)
    let smallest = Float(try request.settings.number("min_std"))
    std = usual.std.array(of: Float.self).map { max($0, smallest) }
    active = usual.active?.array(of: Float.self) ?? [Float](repeating: 1, count: maps.values.count)
    let given = try request.draw("noise", [nil, copies] + shape)
    noise = given?.array(of: Float.self)
    steps = try request.settings.count("steps", fed: given?.shape[0])
    guard steps > 0, copies > 0 else { throw Failure(.invalidArgument, "the draws \"noise\" hold no numbers") }
    random = RandomNumbers(seed: request.seed, .bottleneck)
    let sigma = try request.settings.number("sigma")
    let radius = Int((2 * sigma).rounded(.toNearestOrEven))
    filter = sigma > 0 ? GaussianFilter(sigma: sigma, radius: radius, border: .reflected) : nil
    beta = try request.settings.number("beta")
    rate = try request.settings.number("rate")
    scoring = Scoring(head: try request.requiredScores(), quantity: .logProbability)
  }

  /// Those that the caller feeds, else those that are kept beside the model.
  private static func statistics(
    _ request: ExplanationRequest, _ layer: FeatureLayer, _ shape: [Int?]
  ) throws -> (mean: Tensor, std: Tensor, active: Tensor?) {
    let given = try ["mean", "std", "active"].map { try request.draw($0, shape) }
    if let mean = given[0], let std = given[1] { return (mean, std, given[2]) }
    let name = request.model.graph.name(of: layer.value)
    guard given[0] == nil, given[1] == nil, request.model.path != nil,
      let known = try StatisticsFile.beside(request.model).statistics(ofLayer: name)
    else {
      throw Failure(
        .invalidArgument,
        "the method \"iba\" needs what is usual for the layer \(quoted(name)): let `limpid estimate` keep "
          + "it beside the model, of some hundred images, or feed the draws \"mean\" and \"std\"")
    }
    let wanted = shape.compactMap(\.self)
    for kept in [known.mean, known.std, known.active] where kept.shape.dimensions != wanted {
      throw Failure(
        .invalidArgument,
        "what is kept of the layer \(quoted(name)) has the shape \(kept.shape); for this image "
          + "the layer has \(wanted)")
    }
    return (known.mean, known.std, given[2] ?? known.active)
  }

  func explain(_ subject: Subject, class index: Int, _ progress: Progress) throws -> DrawnMap {
    var adam = Adam([Double](repeating: Self.start, count: maps.values.count), rate: rate)
    var losses: [[Float]] = [[], [], []]
    var capacity: [Double] = []
    for step in 0..<steps {
      // What passes, and what does not: 1 − λ by itself, since λ is near 1.
      let open = smoothed(adam.values.map(logistic))
      let closed = smoothed(adam.values.map { logistic(-$0) })
      capacity = capacities(open, closed)
      var gradient = capacityGradient(open, closed)
      let loss = try addClassGradient(
        step, index, open, closed, &gradient, progress.range(step..<step + 1, of: steps))
      let information = capacity.reduce(0, +) / Double(max(1, capacity.count))
      for (i, value) in [loss + beta * information, loss, information].enumerated() { losses[i].append(Float(value)) }
      adam.step(gradientByAlpha(gradient, adam.values))
    }
    return try drawn(capacity.map { $0 / log(2) }, losses, adam.values, subject)
  }

  private func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  private func smoothed(_ values: [Double]) -> [Double] {
    filtered(values) { $0($1, height: maps.rows, width: maps.columns) }
  }

  private func filtered(_ values: [Double], _ body: (GaussianFilter, [Double]) -> [Double]) -> [Double] {
    guard let filter else { return values }
    return (0..<maps.channels).flatMap { k in
      body(filter, Array(values[k * maps.positions..<(k + 1) * maps.positions]))
    }
  }

  private func capacities(_ open: [Double], _ closed: [Double]) -> [Double] {
    open.indices.map { i in
      let usual = Double((maps.values[i] - mean[i]) / std[i]) * open[i]
      let variance = closed[i] * closed[i]
      let value = -0.5 * (1 + log(variance) - usual * usual - variance) * Double(active[i])
      return value.isNaN ? 0 : value
    }
  }

  /// β·mean(capacity) by λ.
  private func capacityGradient(_ open: [Double], _ closed: [Double]) -> [Double] {
    open.indices.map { i in
      let usual = Double((maps.values[i] - mean[i]) / std[i])
      let slope = 1 / max(closed[i], 1e-300) + usual * usual * open[i] - closed[i]
      return beta / Double(open.count) * Double(active[i]) * slope
    }
  }

  /// Adds that of −ln p_c, averaged over the copies, and returns the value.
  private func addClassGradient(
    _ step: Int, _ index: Int, _ open: [Double], _ closed: [Double], _ gradient: inout [Double], _ progress: Progress
  ) throws -> Double {
    let positions = maps.positions
    func replaced(_ copy: Int, _ i: Int) -> Float {
      let place = (step * copies + copy) * open.count + i
      return std[i] * (noise.map { $0[place] } ?? random.normal(place)) + mean[i]
    }
    var loss = 0.0
    try tail.forEachGradient(count: copies, progress) { copy, target in
      target.update(from: source.data.assumingMemoryBound(to: Float.self), count: tail.rowCount)
      for i in open.indices {
        let mixed = Float(open[i]) * maps.values[i] + Float(closed[i]) * replaced(copy, i)
        target[layer.place(channel: i / positions, position: i % positions)] = mixed * active[i]
      }
    } weights: { _, logits in
      loss -= Double(scoring(logits)[index]) / Double(copies)
      return scoring.gradient(logits, class: index).map { -$0 / Float(copies) }
    } _: { copy, found in
      for i in open.indices {
        let own = found[layer.place(channel: i / positions, position: i % positions)] * active[i]
        gradient[i] += Double(own) * Double(maps.values[i] - replaced(copy, i))
      }
    }
    return loss
  }

  private func gradientByAlpha(_ gradient: [Double], _ alpha: [Double]) -> [Double] {
    let by = filtered(gradient) { $0.adjoint($1, height: maps.rows, width: maps.columns) }
    return by.indices.map { by[$0] * logistic(alpha[$0]) * logistic(-alpha[$0]) }
  }

  private func drawn(
    _ bits: [Double], _ losses: [[Float]], _ alpha: [Double], _ subject: Subject
  ) throws -> DrawnMap {
    var sum = [Double](repeating: 0, count: maps.positions)
    for (i, value) in bits.enumerated() { sum[i % maps.positions] += value }
    let share = Double(maps.positions) / Double(subject.pixels)
    let enlargement = Enlargement((maps.rows, maps.columns), to: (subject.height, subject.width), .mirrored)
    let shape = try Shape(checking: [maps.channels, maps.rows, maps.columns])
    return DrawnMap(
      grid: Heatmap(enlargement(sum.map { Float($0 * share) }), width: subject.width, height: subject.height),
      details: [
        ("loss", try Tensor(losses[0], [steps])), ("model_loss", try Tensor(losses[1], [steps])),
        ("information_loss", try Tensor(losses[2], [steps])),
        ("capacity", try Tensor(bits.map { Float($0) }, shape)), ("alpha", try Tensor(alpha.map { Float($0) }, shape)),
      ])
  }
}
