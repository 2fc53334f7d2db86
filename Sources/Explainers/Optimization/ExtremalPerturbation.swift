import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors
import Transforms

/// Extremal perturbation (Fong, Patrick & Vedaldi, ICCV 2019): the smooth mask of a given area that keeps the class
/// highest, all else blurred away. As TorchRay does it: gradient descent, rate 0.01, momentum and dampening 0.9, on
/// −(reward − λ·mean((sorted mask − reference)²)), λ 300 and × 1.0035 a step.
///
/// The mask given is that of the last pass, before the last step. Several areas run together, and give a map each.
/// Pixels of equal value are sorted by their place, so that the result is the same on every machine; in TorchRay
/// rounding decides between them. For some sizes of the image its mask ends short of the border, and it stops; by
/// itself ours gets a cell more.
struct ExtremalPerturbation: Explainer {
  let name = "extremal-perturbation"
  let summary = "The smooth mask of a given area that keeps the class highest: one map for each area."
  let draws = [
    Draw("state", "float32 [areas, rows, columns], the mask's parameters to start from; else 1 everywhere.")
  ]

  enum Variant: String, CaseIterable { case preserve, delete, dual }

  let parameters = [
    Parameter("area", several: 0.1, in: 0...1, "The part of the image that the mask shows; several give a map each."),
    Parameter("iterations", default: 800, in: 1...1_000_000, "Steps of the descent."),
    Parameter("levels", default: 8, in: 2...1000, "Levels between gone and whole."),
    Parameter("step", default: 7, in: 1...256, "Pixels between the mask's parameters."),
    Parameter("sigma", default: 21.0, in: 0.1...1000, "How far a parameter reaches, in pixels."),
    Parameter(
      "variant", default: Variant.preserve, "Whether the masked part is to keep, to remove the class, or both."),
    Parameter("perturbation", choices: ["blur", "fade"], default: "blur", "What becomes of the rest: blurred, or 0."),
    Parameter("jitter", choices: ["yes", "no"], default: "yes", "Whether every other step sees the image mirrored."),
    Parameter(
      "contrastive", choices: ["yes", "no"], default: "no",
      "Whether the best other class is subtracted from the score."),
    Parameter("smooth", default: 0.0, in: 0...1, "Gaussian over the map at the end, as a part of the shorter side."),
    Parameter(
      "start", default: 0, in: 0...1_000_000, "The number of the first step, where `state` is from a later one."),
    Parameter("compat", choices: ["none", "torchray"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages && model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    try request.explainEach(.torchray) { subject, progress in
      let search = try ExtremalSearch(request, subject)
      return try subject.classes.enumerated().map { c, index in
        try search.explain(class: index, progress.range(c..<c + 1, of: subject.classes.count))
      }
    }
  }
}

/// The descent for one image, all areas together.
private struct ExtremalSearch {
  private let request: ExplanationRequest
  private let subject: Subject
  private let pyramid: BlurPyramid
  private let mask: SmoothMask
  private let areas: [Double]
  private let variant: ExtremalPerturbation.Variant
  private let isContrastive: Bool
  private let jitters: Bool
  private let state: [Double]
  private let head: ScoreHead

  init(_ request: ExplanationRequest, _ subject: Subject) throws {
    (self.request, self.subject) = (request, subject)
    let settings = request.settings
    head = try request.requiredScores()
    areas = try settings.numbers("area")
    variant = try settings.choice("variant")
    isContrastive = try settings.word("contrastive") == "yes"
    jitters = try settings.word("jitter") == "yes"
    pyramid = try BlurPyramid(
      subject, levels: settings.integer("levels"), sigma: 20, isFading: settings.word("perturbation") == "fade",
      request.progress)
    let (step, sigma) = (try settings.integer("step"), try settings.number("sigma"))
    guard
      let mask = SmoothMask(
        image: (subject.height, subject.width), step: step, sigma: sigma,
        isExtended: try settings.word("compat") == "none", request.model.parallel(for: request.call))
    else {
      throw Failure(
        .invalidArgument,
        "with step \(step) and sigma \(sigma) TorchRay's mask ends short of the image's "
          + "\(subject.height)×\(subject.width) pixels; take another step or sigma, or leave out `compat`")
    }
    self.mask = mask
    let isNested = request.call.draws["state"]?.shape.rank == 4
    let given = try request.draw("state", [areas.count] + (isNested ? [1] : []) + [mask.rows, mask.columns])
    state = given?.array(of: Float.self).map(Double.init) ?? [Double](repeating: 1, count: areas.count * mask.cellCount)
    guard state.allSatisfy({ (0...1).contains($0) }) else {
      throw Failure(.invalidArgument, "the draws \"state\" hold numbers that are not between 0 and 1")
    }
  }

  func explain(class index: Int, _ progress: Progress) throws -> [DrawnMap] {
    let iterations = try request.settings.integer("iterations")
    let first = try request.settings.integer("start")
    var descent = Momentum(state, rate: 0.01, momentum: 0.9, dampening: 0.9)
    var history: [[Float]] = []
    var last: (masks: [[Double]], gradient: [Double]) = ([], [])
    for i in 0..<iterations {
      var weight = 300.0
      for _ in 0..<first + i { weight *= 1.0035 }
      let look = try look(
        descent.values, index, weight, isMirrored: jitters && (first + i) % 2 == 0,
        progress.range(i..<i + 1, of: iterations))
      history.append(look.energy)
      last = (look.masks, look.gradient)
      descent.step(look.gradient)
    }
    return try areas.indices.map { try drawn($0, last, history, descent.values) }
  }

  /// Masks, (reward, regularisation) of each area one after the other, and the gradient of −their sum.
  private func look(
    _ parameters: [Double], _ index: Int, _ weight: Double, isMirrored: Bool, _ progress: Progress
  ) throws -> (masks: [[Double]], energy: [Float], gradient: [Double]) {
    let size = mask.cellCount
    let own = areas.indices.map { Array(parameters[$0 * size..<($0 + 1) * size]) }
    // Each is as large as the image: asked between them, too.
    let wholes = try own.map { parameters in
      try progress.polling.advance(0, of: 1)
      return mask.whole(parameters)
    }
    let masks = wholes.map(mask.cropped)
    let (rewards, byMasks) = try rewards(masks, index, isMirrored, progress)
    var energy: [Float] = [], gradient: [Double] = []
    for (a, area) in areas.enumerated() {
      try progress.polling.advance(0, of: 1)
      var byWhole = [Double](repeating: 0, count: wholes[a].count)
      let penalty = addRegularizer(wholes[a], area, weight, &byWhole)
      for (i, value) in byMasks[a].enumerated() { byWhole[mask.place(i)] -= value }
      energy += [Float(rewards[a]), Float(-penalty)]
      gradient += mask.adjoint(byWhole, own[a])
    }
    return (masks, energy, gradient)
  }

  /// λ·mean((sorted − reference)²), the reference 0 for the smaller part of the pixels, 1 for `area` of them.
  private func addRegularizer(
    _ whole: [Double], _ area: Double, _ weight: Double, _ gradient: inout [Double]
  ) -> Double {
    let order = whole.indices.sorted { whole[$0] < whole[$1] || (whole[$0] == whole[$1] && $0 < $1) }
    let count = Double(whole.count)
    let zeros = Int(count * (1 - area))
    var sum = 0.0
    for (rank, i) in order.enumerated() {
      let difference = whole[i] - (rank < zeros ? 0 : 1)
      sum += difference * difference
      gradient[i] += 2 * weight * difference / count
    }
    return weight * sum / count
  }

  /// The reward of each mask, and its gradient by the mask.
  private func rewards(
    _ masks: [[Double]], _ index: Int, _ isMirrored: Bool, _ progress: Progress
  ) throws -> (values: [Double], gradients: [[Double]]) {
    let kept = variant != .delete, removed = variant != .preserve
    // Sign of the reward, and whether the mask is turned around.
    let sides: [(sign: Float, isTurned: Bool)] = (kept ? [(1, false)] : []) + (removed ? [(-1, true)] : [])
    let width = subject.width
    let shown = masks.map { mask in sides.map { $0.isTurned ? mask.map { 1 - $0 } : mask } }
    let stream = Variants(count: masks.count * sides.count, shape: subject.shape, image: subject.image) { i, target in
      pyramid.write(shown[i / sides.count][i % sides.count], into: target)
      if isMirrored { Self.mirror(target, subject.shape.count / width, width) }
    }
    var values = [Double](repeating: 0, count: masks.count)
    var gradients = masks.map { [Double](repeating: 0, count: $0.count) }
    let input = try request.model.imageInput()
    try request.model.forEachBackward(
      of: stream, target: head.logits, at: { _ in [input] }, rules: .standard, early: { _ in [head.logits] },
      request.call, progress,
      weights: { batch in
        let rows = try LogitRows(batch.early[0], count: batch.items.count)
        var all = [Float](repeating: 0, count: batch.late.shape.count)
        for (row, item) in batch.items.enumerated() {
          let sign = sides[item % sides.count].sign
          let (value, weights) = margin(rows[row], index)
          values[item / sides.count] += Double(sign) * value
          for (k, weight) in weights.enumerated() { all[row * rows.count + k] = sign * weight }
        }
        return [try Tensor(all, batch.late.shape)]
      }
    ) { batch, _, found in
      let found = found[0].array(of: Float.self)
      let count = subject.shape.count
      for (row, item) in batch.items.enumerated() {
        var own = Array(found[row * count..<(row + 1) * count])
        if isMirrored { own.withUnsafeMutableBufferPointer { Self.mirror($0.baseAddress!, count / width, width) } }
        let (area, side) = (item / sides.count, item % sides.count)
        for (i, value) in pyramid.adjoint(own, shown[area][side]).enumerated() {
          gradients[area][i] += sides[side].isTurned ? -value : value
        }
      }
    }
    return (values, gradients)
  }

  /// The score, and its derivative by the logits. In a contrast the best other class, at least −100, is subtracted.
  private func margin(_ logits: [Float], _ index: Int) -> (Double, [Float]) {
    let scoring = Scoring(head: head, quantity: .logit)
    let scores = scoring(logits)
    var weights = scoring.gradient(logits, class: index)
    guard isContrastive else { return (Double(scores[index]), weights) }
    var best = index, rest: Float = -100
    for (i, score) in scores.enumerated() where i != index && score > rest { (best, rest) = (i, score) }
    if best != index {
      for (i, weight) in scoring.gradient(logits, class: best).enumerated() { weights[i] -= weight }
    }
    return (Double(scores[index]) - Double(rest), weights)
  }

  private static func mirror(_ values: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int) {
    for row in 0..<rows {
      var line = UnsafeMutableBufferPointer(start: values + row * width, count: width)
      line.reverse()
    }
  }

  private func drawn(
    _ area: Int, _ last: (masks: [[Double]], gradient: [Double]), _ history: [[Float]], _ state: [Double]
  ) throws -> DrawnMap {
    var shown = last.masks[area]
    let part = try request.settings.number("smooth")
    if part > 0 {
      let filter = BlurPyramid.filter(sigma: part * Double(min(subject.height, subject.width)))
      shown = filter(shown, height: subject.height, width: subject.width)
    }
    let cells = area * mask.cellCount..<(area + 1) * mask.cellCount
    let shape = try Shape(checking: [mask.rows, mask.columns])
    let energy = history.flatMap { [$0[2 * area], $0[2 * area + 1]] }
    return DrawnMap(
      grid: Heatmap(shown.map { Float($0) }, width: subject.width, height: subject.height),
      details: [
        ("energy", try Tensor(Array(energy.suffix(2)), [2])),
        ("history", try Tensor(energy, [history.count, 2])),
        ("gradient", try Tensor(last.gradient[cells].map { Float($0) }, shape)),
        ("state", try Tensor(state[cells].map { Float($0) }, shape)),
      ])
  }
}
