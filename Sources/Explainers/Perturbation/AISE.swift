import Explanations
import Glibc
import Models
import Parallel
import Tensors

/// AISE, adaptive input sampling for explanation, as OpenVINO XAI has it for classifiers: of each of several widths a
/// Gaussian window is placed where DIRECT looks for the largest s(x ⊙ M) − s(x ⊙ (1 − M)), the score of what the window
/// keeps less that of what is left without it. The map is Σ (s(x ⊙ M) − s(x ⊙ (1 − M)))·M over all places that were
/// looked at, divided by its maximum, summed over the widths.
///
/// Windows have the height 1 at the pixel that is nearest to their centre. `objective` takes one of the two scores
/// alone. OpenVINO XAI's optimizer is SciPy's, which chooses rectangles somewhat otherwise: its maps are alike, not
/// equal.
struct AISE: Explainer {
  let name = "aise"
  let summary = "Gaussian windows, placed where an optimizer finds that they hold what the score needs."

  enum Objective: String, CaseIterable { case both, keep, remove }

  let draws: [Draw] = []
  let drawsNumbers = true
  let parameters = [
    Parameter(
      "places", default: 50, in: 1...100_000, "Places of a window that are looked at, for each width and class."),
    Parameter(
      "widths", several: 0.1, 0.175, 0.25, in: 0.001...10,
      "Standard deviations of the windows, as parts of the image's sides."),
    Parameter("epsilon", default: 0.1, in: 0...10, "DIRECT's ε: how much better a place must promise to be."),
    Parameter(
      "objective", default: Objective.both,
      "What is maximized: both; keep: the score of what the window keeps; remove: minus that of the rest."),
    Scoring.parameter("score", [.probability, .softmax, .sigmoid, .logit], "the probability"),
    Baseline.parameter,
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let settings = request.settings
    let scoring = try Scoring(request, "score", else: .probability)
    let baseline: Baseline = try settings.choice("baseline")
    let objective: Objective = try settings.choice("objective")
    let places = try settings.integer("places")
    let widths = try settings.numbers("widths")
    let epsilon = try settings.number("epsilon")
    return try request.explainEach(.none) { subject, progress in
      let filling = try baseline.values(of: subject, request)
      try requireMemory(subject.pixels, of: 8 * (subject.classes.count + 2))
      var rounds = 0
      return try subject.classes.map { index in
        var sum = [Double](repeating: 0, count: subject.pixels)
        for width in widths {
          let window = GaussianWindow(height: subject.height, width: subject.width, deviation: width)
          var total = [Double](repeating: 0, count: subject.pixels)
          var search = DividingRectangles(epsilon: epsilon)
          let progress = progress.range(rounds..<rounds + 1, of: subject.classes.count * widths.count)
          var used = 0
          try search.maximize(places) { points in
            let share = progress.range(used..<used + points.count, of: places)
            let scores = try gains(request, subject, scoring, index, objective, window, points, filling, share)
            for (point, score) in zip(points, scores) { window.add(score, at: point, to: &total) }
            used += points.count
            return scores
          }
          rounds += 1
          let most = total.max() ?? 0
          for p in sum.indices { sum[p] += most > 0 ? total[p] / most : total[p] }
        }
        return [DrawnMap(grid: Heatmap(sum.map { Float($0) }, width: subject.width, height: subject.height))]
      }
    }
  }

  /// What each place of the window is worth.
  private func gains(
    _ request: ExplanationRequest, _ subject: Subject, _ scoring: Scoring, _ index: Int, _ objective: Objective,
    _ window: GaussianWindow, _ points: [DividingRectangles.Point], _ filling: [Float]?, _ progress: Progress
  ) throws -> [Double] {
    let forms: [Bool] = objective == .both ? [true, false] : [objective == .keep]
    var result = [Double](repeating: 0, count: points.count)
    var mask = [Float](repeating: 0, count: subject.pixels)
    try request.forEachVariant(of: subject, count: points.count * forms.count, progress) { i, target in
      window.write(points[i / forms.count], keeping: forms[i % forms.count], into: &mask)
      subject.write(mask: mask, over: filling, into: target)
    } _: { i, logits in
      let score = Double(scoring(logits)[index])
      result[i / forms.count] += forms[i % forms.count] ? score : -score
    }
    return result
  }
}

/// exp(−d²/2σ²) around a point of the unit square, whose corners are the centres of the image's corner pixels.
private struct GaussianWindow {
  private let rows: [Double]
  private let columns: [Double]
  private let deviation: Double

  init(height: Int, width: Int, deviation: Double) {
    rows = Self.places(height)
    columns = Self.places(width)
    self.deviation = deviation
  }

  private static func places(_ count: Int) -> [Double] {
    (0..<count).map { count > 1 ? Double($0) / Double(count - 1) : 0 }
  }

  /// The factors of rows and columns; the largest of each is 1.
  private func factors(_ point: DividingRectangles.Point) -> (rows: [Double], columns: [Double]) {
    func factors(_ places: [Double], _ centre: Double) -> [Double] {
      let squares = places.map { ($0 - centre) * ($0 - centre) }
      let least = squares.min() ?? 0
      return squares.map { exp((least - $0) / (2 * deviation * deviation)) }
    }
    return (factors(rows, point.y), factors(columns, point.x))
  }

  func write(_ point: DividingRectangles.Point, keeping: Bool, into mask: inout [Float]) {
    let (rows, columns) = factors(point)
    for y in rows.indices {
      for x in columns.indices {
        let value = Float(rows[y] * columns[x])
        mask[y * columns.count + x] = keeping ? value : 1 - value
      }
    }
  }

  func add(_ weight: Double, at point: DividingRectangles.Point, to sum: inout [Double]) {
    let (rows, columns) = factors(point)
    for y in rows.indices {
      for x in columns.indices { sum[y * columns.count + x] += weight * rows[y] * columns[x] }
    }
  }
}
