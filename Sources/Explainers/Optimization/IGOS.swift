import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors
import Transforms

/// I-GOS (Qi, Khorram & Li, AAAI 2020): the smallest smooth mask whose blurring out brings the class down, by gradient
/// descent on m along integrated gradients, with a line search.
///
/// x(u) = x·u + b·(1 − u), u = m enlarged (corners aligned), b the image behind a Gaussian of 51 × 51, σ 50. Descended:
/// l1·mean|1 − m| + tv·(mean of squared differences along rows and along columns) + Σ_s p_c(x(s/S·u) + noise)/S. What
/// is shown is 1 − u.
///
/// The authors' program (`i-gos`) divides that sum by 20 whatever S is, and adds its noise twice. `scouter` shows
/// 2·max(u) − u, at least 0, spread; its program explains the predicted class whatever is asked. Both feed colours in
/// reverse; here images are fed as they are.
struct IGOS: Explainer {
  let name = "i-gos"
  let summary = "The smallest smooth mask that, blurred out of the image, takes the class away."
  let drawsNumbers = true
  let draws = [
    Draw(
      "noise", "float32 [draws, height, width, channels], one for each step of an integral, used in turn; else drawn.")
  ]
  let parameters = [
    Parameter("cells", default: 28, in: 2...1000, "Cells of the mask along each axis."),
    Parameter("iterations", default: 15, in: 1...100_000, "Steps of the descent."),
    Parameter("integration", default: 20, in: 1...100_000, "Steps of each integral, S."),
    Parameter("l1", default: 1.0, in: 0...1e6, "Weight of the mask's size."),
    Parameter("tv", default: 20.0, in: 0...1e6, "Weight of its roughness."),
    Parameter("std", default: 0.2, in: 0...1e3, "Standard deviation of the noise that is drawn, as the model is fed."),
    Parameter("compat", choices: ["none", "i-gos", "scouter"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages && model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    return try request.explainEach(compat) { subject, progress in
      let search = try MaskSearch(request, subject, compat)
      return try subject.classes.enumerated().map { c, index in
        [try search.explain(class: index, progress.range(c..<c + 1, of: subject.classes.count))]
      }
    }
  }
}

/// The descent for one image.
private struct MaskSearch {
  private let request: ExplanationRequest
  private let subject: Subject
  private let compat: Compat
  private let cells: Int
  private let enlargement: Enlargement
  private let blurred: [Float]
  private let noise: [Float]?
  private let noiseCount: Int
  private let random: RandomNumbers
  private let scoring: Scoring
  private let integration: Int

  init(_ request: ExplanationRequest, _ subject: Subject, _ compat: Compat) throws {
    (self.request, self.subject, self.compat) = (request, subject, compat)
    cells = try request.settings.integer("cells")
    integration = try request.settings.integer("integration")
    enlargement = Enlargement((cells, cells), to: (subject.height, subject.width), .corners)
    let filter = GaussianFilter(sigma: 50, radius: 25, border: .reflected)
    blurred = withExtendedLifetime(subject.input) {
      (0..<subject.channels).flatMap { c in
        let plane = UnsafeBufferPointer(start: subject.start + c * subject.pixels, count: subject.pixels)
        return filter(Array(plane), height: subject.height, width: subject.width)
      }
    }
    let given = try request.draw("noise", [nil, subject.height, subject.width, subject.channels])
    noiseCount = given?.shape[0] ?? 0
    noise = noiseCount > 0 ? given?.array(of: Float.self) : nil
    random = RandomNumbers(seed: request.seed, .path)
    scoring = Scoring(head: try request.requiredScores(), quantity: .probability)
  }

  func explain(class index: Int, _ progress: Progress) throws -> DrawnMap {
    var mask = [Double](repeating: 1, count: cells * cells)
    let iterations = try request.settings.integer("iterations")
    let std = Float(try request.settings.number("std"))
    var weights = (size: try request.settings.number("l1"), roughness: try request.settings.number("tv"))
    var curves: (regularization: [Float], score: [Float]) = ([], [])
    for i in 0..<iterations {
      let parts = progress.range(i..<i + 1, of: iterations).parts(Double(3 * integration), 4)
      let regularization = regularizer(mask, weights)
      var gradient = regularization.gradient
      try addScoreGradient(mask, index, draw: i * integration, std, &gradient, parts[0])
      let start = try score(mask, index, parts[1].polling)
      mask = try descended(mask, gradient, from: regularization.value + start, index, weights, parts[1].polling)
      // The first is listed twice.
      for _ in 0..<(i == 0 ? 2 : 1) {
        curves.regularization.append(Float(regularization.value))
        curves.score.append(Float(start))
      }
      let change = abs(curves.score[0] - curves.score[i])
      if iterations > 3, i == iterations / 2, change <= 0.001 {
        weights.size /= 10
      } else if iterations > 3, i == Int(Double(iterations) / 1.25), change <= 0.01 {
        weights.size /= 5
      }
    }
    return try drawn(mask, curves.regularization + curves.score, iterations + 1)
  }

  /// Size and roughness of a mask, and their gradient. |1 − m| has none where m is 1.
  private func regularizer(
    _ mask: [Double], _ weights: (size: Double, roughness: Double)
  ) -> (value: Double, gradient: [Double]) {
    let count = Double(mask.count), pairs = Double(cells * (cells - 1))
    var value = weights.size * mask.reduce(0) { $0 + abs(1 - $1) } / count
    var gradient = mask.map { $0 < 1 ? -weights.size / count : 0 }
    for y in 0..<cells {
      for x in 0..<cells {
        let i = y * cells + x
        for (isInside, j) in [(y + 1 < cells, i + cells), (x + 1 < cells, i + 1)] where isInside {
          let difference = mask[i] - mask[j]
          value += weights.roughness * difference * difference / pairs
          gradient[i] += 2 * weights.roughness * difference / pairs
          gradient[j] -= 2 * weights.roughness * difference / pairs
        }
      }
    }
    return (value, gradient)
  }

  /// Adds that of Σ_s p_c(x(s/S·u) + noise), divided.
  private func addScoreGradient(
    _ mask: [Double], _ index: Int, draw: Int, _ std: Float, _ gradient: inout [Double], _ progress: Progress
  ) throws {
    let enlarged = enlargement(mask.map { Float($0) })
    let divisor: Float = compat == .none ? Float(integration) : 20
    let (size, count) = (subject.pixels, subject.shape.count)
    let stream = Variants(count: integration, shape: subject.shape, image: subject.image) { s, target in
      let share = Float(s + 1) / Float(integration)
      subject.write(mask: enlarged.map { $0 * share }, over: blurred, into: target)
      for i in 0..<count { target[i] += added(draw + s, channel: i / size, pixel: i % size, std) }
    }
    let (model, input) = (request.model, try request.model.imageInput())
    let logits = scoring.head.logits
    var byMask = [Double](repeating: 0, count: size)
    try model.forEachBackward(
      of: stream, target: logits, at: { _ in [input] }, rules: .standard, early: { _ in [logits] }, request.call,
      progress,
      weights: { batch in
        let rows = try LogitRows(batch.early[0], count: batch.items.count)
        var all = [Float](repeating: 0, count: batch.late.shape.count)
        for row in batch.items.indices {
          for (k, value) in scoring.gradient(rows[row], class: index).enumerated() {
            all[row * rows.count + k] = value / divisor
          }
        }
        return [try Tensor(all, batch.late.shape)]
      }
    ) { batch, _, gradients in
      let found = gradients[0].array(of: Float.self)
      for (row, s) in batch.items.enumerated() {
        let share = Double(s + 1) / Double(integration)
        for i in 0..<count {
          byMask[i % size] += share * Double(found[row * count + i]) * Double(subject.start[i] - blurred[i])
        }
      }
    }
    for (i, value) in enlargement.adjoint(byMask).enumerated() { gradient[i] += value }
  }

  /// The authors' program adds each draw twice.
  private func added(_ draw: Int, channel: Int, pixel: Int, _ std: Float) -> Float {
    let place = pixel * subject.channels + channel
    let value =
      noise.map { $0[(draw % noiseCount) * subject.shape.count + place] }
      ?? std * random.normal(draw * subject.shape.count + place)
    return compat == .none ? value : 2 * value
  }

  /// p_c of the image under a mask.
  private func score(_ mask: [Double], _ index: Int, _ progress: Progress) throws -> Double {
    let enlarged = enlargement(mask.map { Float($0) })
    var result = 0.0
    try request.forEachVariant(of: subject, count: 1, progress) { _, target in
      subject.write(mask: enlarged, over: blurred, into: target)
    } _: { _, logits in
      result = Double(scoring(logits)[index])
    }
    return result
  }

  /// Backtracking until the descent is as large as the gradient promises (Armijo), given up below a step of 1e-5.
  private func descended(
    _ mask: [Double], _ gradient: [Double], from start: Double, _ index: Int,
    _ weights: (size: Double, roughness: Double), _ progress: Progress
  ) throws -> [Double] {
    let square = gradient.reduce(0) { $0 + $1 * $1 }
    var step = 200.0
    while true {
      let trial = zip(mask, gradient).map { min(max($0 - step * $1, 0), 1) }
      let value = try regularizer(trial, weights).value + score(trial, index, progress)
      if value <= start - 1e-4 * step * square || step < 1e-5 { return trial }
      step *= 0.2
    }
  }

  private func drawn(_ mask: [Double], _ losses: [Float], _ count: Int) throws -> DrawnMap {
    let values = mask.map { Float($0) }
    let enlarged = enlargement(values)
    let top = enlarged.max() ?? 0
    let shown = enlarged.map { compat == .scouter ? max(0, 2 * top - $0) : 1 - $0 }
    return DrawnMap(
      grid: Heatmap(shown, width: subject.width, height: subject.height),
      details: [("mask", try Tensor(values, [cells, cells])), ("losses", try Tensor(losses, [2, count]))])
  }
}
