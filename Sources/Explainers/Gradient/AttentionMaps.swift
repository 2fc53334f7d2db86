import Explanations
import Graph
import Models
import Parallel
import Tensors

/// Attention rollout (Abnar & Zuidema, ACL 2020, section 3): what reaches the class token from each position, through
/// all layers: the product of (A + I)/2 over the layers, A their attention averaged over the heads. Without a class
/// token it is the mean over all tokens. The same map for every class.
struct AttentionRollout: Explainer {
  let name = "attention-rollout"
  let summary = "Attention of all layers of a vision transformer, followed from the class token to the image."
  let parameters = [
    Parameter(
      "heads", choices: ["mean", "maximum", "minimum"], default: "mean", "How the heads of a layer become one.")
  ]

  func canExplain(_ model: Model) -> Bool { model.possibleScores != nil && model.hasTokenAttention }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let heads = try request.settings.word("heads")
    let head = try request.requiredScores()
    var explanations: [Explanation] = []
    for (i, image) in request.images.enumerated() {
      let prepared = try request.model.prepared(image, request.progress)
      let shape = Shape(trusted: Array(prepared.shape.dimensions.dropFirst()))
      let attentions = try request.tokenAttentions(shape)
      try request.model.forEachBatch(
        of: request.model.stream([image], request.progress), fetch: [head.output] + attentions.map(\.value),
        request.call.forImage(i, of: request.images.count), request.progress.range(i..<i + 1, of: request.images.count)
      ) { batch in
        let scores = try Scores(batch.tensors[0], count: 1, of: head)
        let layers = try batch.tensors.dropFirst().map { try Self.joined($0, heads) }
        let grid = Self.rollout(layers, attentions[0].grid)
        let field = try request.model.field(of: image)
        for index in try request.resolvedClasses(i, scores, row: 0) {
          explanations.append(
            Explanation(image: i, classIndex: index, score: scores[0][index], grid: grid, field: field))
        }
      }
    }
    return explanations
  }

  /// [tokens, tokens] of [1, heads, tokens, tokens].
  private static func joined(_ tensor: Tensor, _ heads: String) throws -> [Double] {
    let (values, count) = (tensor.array(of: Float.self), tensor.shape[1])
    let size = tensor.shape[2] * tensor.shape[3]
    return (0..<size).map { i in
      let own = (0..<count).map { Double(values[$0 * size + i]) }
      switch heads {
      case "maximum": return own.max() ?? 0
      case "minimum": return own.min() ?? 0
      default: return own.reduce(0, +) / Double(max(1, count))
      }
    }
  }

  private static func rollout(_ layers: [[Double]], _ tokens: TokenGrid) -> Heatmap {
    let count = tokens.before + tokens.rows * tokens.columns + tokens.after
    // The rows that are looked from: the class token, or all.
    var flow = (0..<count).map { tokens.before == 0 ? 1 / Double(count) : $0 == 0 ? 1.0 : 0 }
    for layer in layers.reversed() {
      var next = flow.map { $0 / 2 }
      for row in 0..<count where flow[row] != 0 {
        let sum = (0..<count).reduce(0) { $0 + layer[row * count + $1] }
        guard sum > 0 else { continue }
        for column in 0..<count { next[column] += flow[row] * layer[row * count + column] / (2 * sum) }
      }
      flow = next
    }
    let seen = flow[tokens.before..<tokens.before + tokens.rows * tokens.columns]
    return Heatmap(seen.map { Float($0) }, width: tokens.columns, height: tokens.rows)
  }
}

/// LeGrad (Bousselham et al., ICCV 2025, "LeGrad: an explainability method for vision transformers via feature
/// formation sensitivity", section 3): for each layer the class's score as the head would give it of that layer's own
/// tokens; the positive part of its gradient by the layer's attention, averaged over heads and rows, summed over the
/// layers.
struct LeGrad: Explainer {
  let name = "le-grad"
  let summary = "How the class's score grows with the attention to each position, over all layers of a transformer."
  let parameters =
    Target.parameters + [
      Parameter(
        "score", choices: ["layer", "model"], default: "layer",
        "Whose score each layer is asked for: what the head makes of the layer's own tokens, or the model's.")
    ]
  let draws = Target.draws

  func canExplain(_ model: Model) -> Bool { model.hasTokenAttention && model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let ofLayers = try request.settings.word("score") == "layer"
    if ofLayers, try request.settings.word("of") != Target.Quantity.logit.rawValue {
      throw Failure(
        .invalidArgument, "the method \"le-grad\" takes the layers' scores as logits; with `of` also give score=model")
    }
    return try request.explainTargets(
      .none, at: { try request.tokenAttentions($0).map(\.value) },
      exits: { ofLayers ? try request.blockExits($0) : nil }
    ) { target in
      let tokens = try request.tokenAttentions(target.shape)[0].grid
      let maps = try target.gradients.map { try Self.positive($0.row(target.row, of: target.count)) }
      let sum = maps.dropFirst().reduce(maps.first ?? []) { zip($0, $1).map(+) }
      let seen = sum[tokens.before..<tokens.before + tokens.rows * tokens.columns]
      return DrawnMap(grid: Heatmap(Array(seen), width: tokens.columns, height: tokens.rows))
    }
  }

  /// The mean over heads and rows of what is above 0, by column.
  private static func positive(_ tensor: Tensor) -> [Float] {
    let columns = tensor.shape[3]
    let rows = tensor.shape.count / max(1, columns)
    var sum = [Double](repeating: 0, count: columns)
    for (i, value) in tensor.array(of: Float.self).enumerated() { sum[i % columns] += Double(max(value, 0)) }
    return sum.map { Float($0 / Double(max(1, rows))) }
  }
}

extension Model {
  /// Whether the model has attention of tokens that lie in the image; true where that depends on the image's size.
  fileprivate var hasTokenAttention: Bool {
    guard let shape = fixedInputShape else { return input != nil }
    guard let analysis = try? analysis(for: shape, possibleScores) else { return false }
    return !analysis.attentions.isEmpty
  }
}

extension ExplanationRequest {
  /// The attention of all layers, of one number of tokens. Throws where there is none.
  fileprivate func tokenAttentions(_ shape: Shape) throws -> [(value: ValueID, grid: TokenGrid)] {
    let all = try model.analysis(for: shape, scores, call).attentions
    guard let last = all.last else {
      throw Failure(.unsupported, "the model has no attention of tokens to tokens that could be followed to the image")
    }
    return all.filter { $0.grid == last.grid }
  }

  /// The tokens of each attention's own block, in place of the last block's.
  fileprivate func blockExits(_ shape: Shape) throws -> BackwardPass.Exits {
    let attentions = try tokenAttentions(shape)
    let analysis = try model.analysis(for: shape, scores, call)
    guard let blocks = analysis.blocks, let end = blocks.last, blocks.count == attentions.count else {
      throw Failure(
        .unsupported, "the blocks of this model could not be told apart; score=model takes the model's own score")
    }
    return BackwardPass.Exits(of: blocks, inPlaceOf: end)
  }
}
