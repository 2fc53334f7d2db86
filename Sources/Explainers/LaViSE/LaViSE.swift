public import Explanations
import Models
import Tensors

/// LaViSE (Yang, Kim & Joo, CVPR 2022, "Explaining Deep Convolutional Neural Networks via Latent
/// Visual-Semantic Filter Attention"): where one filter of the target layer is active in an image, and the
/// words nearest to what it sees there.
///
/// The grid is the filter's map above the threshold, zero elsewhere; it is the same for every class. The
/// words come from the filter's attention (section 3.2) as the authors' code computes it: g = mean F_k·A /
/// |A|, without the division by |F_k| that the paper's cosine has.
struct LaViSE: Explainer {
  let name = "lavise"
  let findsWords = true
  let summary = "Where one filter of a LaViSE model is active, and the words for what it sees there."
  let parameters = [
    Parameter("filter", default: -1, in: -1...1_000_000, "The filter, from 0; -1: the one that is most active."),
    Parameter("words", default: 5, in: 1...100_000, "How many words."),
    Naming.attentionParameter,
    Parameter(
      "threshold", default: 0, in: -1e30...1e30,
      "What activations of the region are above (limpid name-filters finds thresholds over many images)."),
  ]

  func canExplain(_ model: Model) -> Bool { FilterExplainer.isIn(model) }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let model = request.model
    var lens = Lens()
    let settings = request.settings
    let filter = try settings.integer("filter")
    lens.filter = filter < 0 ? nil : filter
    lens.words = try settings.integer("words")
    lens.attention = try settings.choice("attention")
    lens.threshold = try settings.number("threshold")
    let head = request.scores
    var explanations: [Explanation] = []
    try FilterExplainer(model).forEachBatch(
      of: model.stream(request.images, request.progress), through: lens, fetch: head.map { [$0.output] } ?? [],
      request.call, request.progress
    ) { images, views, tensors in
      let scores = try head.map { try Scores(tensors[0], count: views.count, of: $0) }
      for (row, view) in views.enumerated() {
        let image = images[row]
        let field = try model.field(of: request.images[image])
        let grid = Heatmap(view.region, width: view.width, height: view.height)
        for (c, score) in try classes(request, image, scores, row: row) {
          explanations.append(
            Explanation(
              image: image, classIndex: c, score: score ?? view.reading.activation, grid: grid, field: field,
              attachment: view.reading))
        }
      }
    }
    return explanations
  }

  /// The classes of an image with their scores; -1 without a score where the model has none.
  private func classes(
    _ request: ExplanationRequest, _ image: Int, _ scores: Scores?, row: Int
  ) throws -> [(Int, Float?)] {
    if let scores { return try request.resolvedClasses(image, scores, row: row).map { ($0, scores[row][$0]) } }
    return try request.classes[image].map { wanted in
      guard wanted == nil else { throw Failure(.invalidArgument, "the model has no classes; leave the class out") }
      return (-1, nil)
    }
  }
}

extension Explanation {
  /// For explanations of LaViSE: the words for what the filter sees.
  public var reading: FilterReading? { attachment as? FilterReading }
}
