import Engine
import Explanations
import Glibc
import Models
import Parallel
import Tensors

/// LIME (Ribeiro, Singh & Guestrin, KDD 2016): a linear model of the score by which superpixels are visible.
///
/// Ridge regression with an intercept, of random choices (each superpixel with probability ½; the first shows all) that
/// are weighted by √exp(−d²/kernel²), d the cosine distance from all of them.
struct LIME: Explainer {
  let name = "lime"
  let summary = "A linear model of the score by visible superpixels: asks the model only."
  let drawsNumbers = true
  let draws = [Superpixels.draw, Coalitions.draw]
  let parameters =
    Superpixels.parameters + [
      Parameter(
        "samples", default: 1000, in: 1...1_000_000, "Random choices of superpixels, as many runs of the model."),
      Parameter("kernel", default: 0.25, in: 1e-3...1e3, "Width of the weighting, in cosine distance."),
      Parameter("ridge", default: 1.0, in: 0...1e6, "Weight of the squared coefficients."),
      Scoring.parameter("of", [.logit, .probability, .logProbability], "the probability"), Coalitions.baseline,
    ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let kernel = try request.settings.number("kernel")
    let ridge = try request.settings.number("ridge")
    return try request.explainCoalitions { parts, count, random in
      (0..<count).map { i in
        (0..<parts).map { i == 0 || random.uniform(i * parts + $0) < 0.5 ? 1 : 0 }
      }
    } _: { rows, scores, _, progress in
      let weights = rows.map { row in
        let distance = 1 - (row.reduce(0, +) / Double(row.count)).squareRoot()
        return exp(-distance * distance / (kernel * kernel)).squareRoot()
      }
      return try Self.ridge(rows, scores, weights, ridge, progress)
    }
  }

  /// The coefficients; the intercept is not held back, so means are taken off first.
  private static func ridge(
    _ rows: [[Double]], _ scores: [Double], _ weights: [Double], _ ridge: Double, _ progress: Progress
  ) throws -> [Double] {
    let total = weights.reduce(0, +)
    let parts = rows.first?.count ?? 0
    // Else rounding would be all that is fitted.
    guard scores.contains(where: { $0 != scores[0] }) else { return [Double](repeating: 0, count: parts) }
    var means = [Double](repeating: 0, count: parts)
    var mean = 0.0
    for (i, row) in rows.enumerated() {
      for k in 0..<parts { means[k] += weights[i] * row[k] / total }
      mean += weights[i] * scores[i] / total
    }
    var squares = LeastSquares(size: parts)
    for (i, row) in rows.enumerated() {
      try progress.advance(0, of: 1)
      squares.add(zip(row, means).map { $0 - $1 }, scores[i] - mean, weight: weights[i])
    }
    return squares.solved(ridge: ridge)
  }
}

/// Kernel SHAP (Lundberg & Lee, NeurIPS 2017): Shapley values of superpixels, by least squares under the condition that
/// they sum to s(x) − s(baseline). Choices are drawn with sizes k as the Shapley kernel weighs them, 1/(k(M − k)), each
/// followed by its complement.
struct KernelSHAP: Explainer {
  let name = "kernel-shap"
  let summary = "Shapley values of superpixels, estimated: they share out what the image adds to the score."
  let drawsNumbers = true
  let draws = [Superpixels.draw, Coalitions.draw]
  let parameters =
    Superpixels.parameters + [
      Parameter(
        "samples", default: 1000, in: 1...1_000_000, "Random choices of superpixels, as many runs of the model."),
      Parameter(
        "weights", choices: ["drawn", "kernel"], default: "drawn",
        "Whether the choices were drawn by the Shapley kernel, and count alike, or are to be weighed by it: all 2^M "
          + "choices fed as `samples` give the exact values."),
      Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"), Coalitions.baseline,
    ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let isWeighted = try request.settings.word("weights") == "kernel"
    return try request.explainCoalitions(else: .logit) { parts, count, random in
      Self.coalitions(parts, count, random)
    } _: { rows, scores, ends, progress in
      let parts = rows.first?.count ?? 0
      guard parts > 1 else { return [ends.whole - ends.none] }
      // The last value follows from the sum.
      var squares = LeastSquares(size: parts - 1)
      for (i, row) in rows.enumerated() {
        try progress.advance(0, of: 1)
        let size = Int(row.reduce(0, +).rounded())
        guard size > 0, size < parts else { continue }
        let last = row[parts - 1]
        squares.add(
          row.dropLast().map { $0 - last }, scores[i] - ends.none - last * (ends.whole - ends.none),
          weight: isWeighted ? Self.kernel(size, of: parts) : 1)
      }
      let found = squares.solved(ridge: 0)
      return found + [ends.whole - ends.none - found.reduce(0, +)]
    }
  }

  /// (M − 1) / (C(M, k)·k·(M − k))
  private static func kernel(_ size: Int, of parts: Int) -> Double {
    let (m, k) = (Double(parts), Double(size))
    let choices = lgamma(m + 1) - lgamma(k + 1) - lgamma(m - k + 1)
    return (m - 1) / (k * (m - k)) * exp(-choices)
  }

  private static func coalitions(_ parts: Int, _ count: Int, _ random: RandomNumbers) -> [[Double]] {
    guard parts > 1 else { return [] }
    let shares = (1..<parts).map { 1 / (Double($0) * Double(parts - $0)) }
    let total = shares.reduce(0, +)
    var rows: [[Double]] = []
    for i in 0..<(count + 1) / 2 {
      let start = i * (parts + 1)
      var left = Double(random.uniform(start)) * total
      var size = 1
      while size < parts - 1, left >= shares[size - 1] {
        left -= shares[size - 1]
        size += 1
      }
      let keys = (0..<parts).map { random.uniform(start + 1 + $0) }
      let chosen = Set((0..<parts).sorted { keys[$0] < keys[$1] || (keys[$0] == keys[$1] && $0 < $1) }.prefix(size))
      let row = (0..<parts).map { chosen.contains($0) ? 1.0 : 0 }
      rows += [row, row.map { 1 - $0 }]
    }
    return Array(rows.prefix(count))
  }
}

/// Choices of superpixels that are visible, one row each.
enum Coalitions {
  static let draw = Draw("samples", "uint8 [samples, superpixels], 1: visible; else drawn.")
  static let baseline = Parameter(
    "baseline", choices: ["segment"] + Baseline.allCases.map(\.rawValue), default: "segment",
    "What hidden superpixels show: each its mean colour, or as for other methods.")

  static func filling(_ request: ExplanationRequest, _ subject: Subject, _ parts: Superpixels) throws -> [Float]? {
    if let baseline = Baseline(rawValue: try request.settings.word("baseline")) {
      return try baseline.values(of: subject, request)
    }
    return withExtendedLifetime(subject.input) {
      (0..<subject.channels).flatMap { c -> [Float] in
        var sums = [Double](repeating: 0, count: parts.count), counts = sums
        for (p, label) in parts.labels.enumerated() {
          sums[label] += Double(subject.start[c * subject.pixels + p])
          counts[label] += 1
        }
        return parts.labels.map { Float(sums[$0] / counts[$0]) }
      }
    }
  }
}

extension ExplanationRequest {
  /// Explains by superpixels: `draw` makes the choices, `fit` of their scores for a class a value for each superpixel.
  fileprivate func explainCoalitions(
    else quantity: Scoring.Quantity = .probability,
    _ draw: (_ parts: Int, _ count: Int, RandomNumbers) -> [[Double]],
    _ fit: (_ rows: [[Double]], _ scores: [Double], _ ends: (none: Double, whole: Double), Progress) throws -> [Double]
  ) throws -> [Explanation] {
    let scoring = try Scoring(self, "of", else: quantity)
    return try explainEach(.none) { subject, progress in
      let parts = try Superpixels(self, subject)
      let filling = try Coalitions.filling(self, subject, parts)
      let random = RandomNumbers(seed: seed, .coalitions)
      let given = try self.draw("samples", [nil, parts.count]).map { tensor in
        let numbers = tensor.array(of: Float.self).map { Double($0) }
        guard numbers.allSatisfy({ (0...1).contains($0) }) else {
          throw Failure(.invalidArgument, "the draws \"samples\" hold numbers that are not between 0 and 1")
        }
        return (0..<tensor.shape[0]).map { Array(numbers[$0 * parts.count..<($0 + 1) * parts.count]) }
      }
      let count = try settings.count("samples", fed: given?.count)
      let memory = count * parts.count * MemoryLayout<Double>.size
      try model.engine.limit.check(memory, for: "the choices of superpixels")
      let rows = given ?? draw(parts.count, count, random)
      var scores = subject.classes.map { _ in [Double]() }
      // The first shows nothing.
      try forEachVariant(of: subject, count: rows.count + 1, progress) { i, target in
        let mask = parts.labels.map { i == 0 ? 0 : Float(rows[i - 1][$0]) }
        subject.write(mask: mask, over: filling, into: target)
      } _: { _, logits in
        let found = scoring(logits)
        for (c, index) in subject.classes.enumerated() { scores[c].append(Double(found[index])) }
      }
      let whole = scoring(subject.logits)
      return try subject.classes.enumerated().map { c, index in
        let ends = (none: scores[c][0], whole: Double(whole[index]))
        let values = try fit(rows, Array(scores[c].dropFirst()), ends, progress.polling).map { Float($0) }
        let grid = Heatmap(parts.labels.map { values[$0] }, width: subject.width, height: subject.height)
        return [
          DrawnMap(
            grid: grid, range: Attribution.range(of: grid),
            details: [
              ("attribution", try Tensor(values, [values.count])),
              ("segments", try Tensor(parts.labels.map { Int64($0) }, [subject.height, subject.width])),
            ])
        ]
      }
    }
  }
}
