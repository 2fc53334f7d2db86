import FilterNaming
import Models
import Tensors

/// LaViSE (Yang, Kim & Joo, CVPR 2022, "Explaining Deep Convolutional Neural Networks via Latent
/// Visual-Semantic Filter Attention"): where one filter of the target layer is active in a picture, and the
/// words nearest to what it sees there.
///
/// The grid is the filter's map above the threshold, zero elsewhere; it is the same for every class. The
/// words come from the filter's attention (section 3.2) as the authors' code computes it: g = mean F_k·A /
/// |A|, without the division by |F_k| that the paper's cosine has.
struct LaViSE: Explainer {
  let name = "lavise"
  let summary = "Where one filter of a LaViSE model is active, and the words for what it sees there."
  let parameters = [
    Parameter("filter", default: -1, in: -1...1_000_000, "The filter, from 0; -1: the one that is most active."),
    Parameter("words", default: 5, in: 1...100_000, "How many words."),
    Naming.attentionParameter,
    Parameter(
      "threshold", default: 0, in: -1e30...1e30,
      "What activations of the region are above (limpid name-filters finds thresholds over many pictures)."),
  ]

  func canExplain(_ model: Model) -> Bool { FilterExplainer.isIn(model) }

  func explain(_ task: Task) throws -> [Explanation] {
    let model = task.model
    var lens = Lens()
    lens.filter = task.integer("filter") < 0 ? nil : task.integer("filter")
    lens.words = task.integer("words")
    lens.attention = Attention(rawValue: task.integer("attention")) ?? .projection
    lens.threshold = task.value("threshold")
    let logits = model.scores.map { [$0.value] } ?? []
    var explanations: [Explanation] = []
    try FilterExplainer(model).forEachBatch(of: task.pictures, through: lens, fetch: logits, task.call) {
      first, views, tensors in
      let scores = try tensors.first.map { try Scores($0, count: views.count) }
      for (i, view) in views.enumerated() {
        let field = try model.field(of: task.pictures[first + i])
        let grid = Grid(view.region, width: view.width, height: view.height)
        for (c, score) in try classes(task, first + i, scores, row: i) {
          var explanation = Explanation(
            picture: first + i, classIndex: c, score: score ?? view.reading.activation, grid: grid, field: field)
          explanation.reading = view.reading
          explanations.append(explanation)
        }
      }
    }
    return explanations
  }

  /// The classes of a picture with their scores; -1 without a score where the model has none.
  private func classes(_ task: Task, _ picture: Int, _ scores: Scores?, row: Int) throws -> [(Int, Float?)] {
    if let scores { return try task.resolvedClasses(picture, scores, row: row).map { ($0, scores[row][$0]) } }
    return try task.classes[picture].map { wanted in
      guard wanted == nil else { throw Failure(.invalidArgument, "the model has no classes; leave the class out") }
      return (-1, nil)
    }
  }
}
