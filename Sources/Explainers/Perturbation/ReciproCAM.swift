import Explanations
import Models
import Parallel
import Tensors

/// ReciproCAM (Byun & Lee, 2022): for each position of the layer, the score of the model with all others set to 0. One
/// run for each position of what is behind the layer, for all classes.
///
/// On transformers the class token is kept, and the tokens around a position fade by the kernel (1 2 1)/4 along each
/// axis (ViT-ReciproCAM, Byun & Lee, 2023). What skips the layer keeps all tokens, as in OpenVINO XAI's program for
/// PyTorch; its program for OpenVINO graphs takes them away there too.
struct ReciproCAM: Explainer {
  let name = "recipro-cam"
  let summary = "The score with one position of the layer left at a time: needs no gradients, and few runs."
  let tapsLayers = true
  let parameters = [
    Parameter(
      "kernel", choices: ["auto", "gaussian", "single"], default: "auto",
      "What is kept: single positions, or a small Gaussian around them; auto: gaussian on tokens, else single."),
    Scoring.parameter("of", [.logit, .probability, .logProbability], "the logit"),
    Parameter("compat", choices: ["none", "openvino"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.hasFeatureLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let kernel = try request.settings.word("kernel")
    let kind = try request.requiredScores().kind
    let endsInProbabilities = kind == .probabilities || kind == .independentProbabilities
    let isOfProbability = compat == .openvino && endsInProbabilities
    let scoring = try Scoring(request, "of", else: isOfProbability ? .probability : .logit)
    return try request.explainLayers(compat) { subject, layer, value, progress in
      let (rows, columns) = (layer.grid.rows, layer.grid.columns)
      let tail = try LayerTail(request, behind: layer.value, of: subject, rows: rows * columns, progress)
      let isToken = layer.arrangement == .tokens || layer.arrangement == .channelsOfTokens
      let isWide = kernel == "gaussian" || (kernel == "auto" && isToken)
      let source = try value.aligned()
      try requireMemory(rows * columns, of: 12 * subject.classes.count)
      var grids = subject.classes.map { _ in [Float](repeating: 0, count: rows * columns) }
      try tail.forEach(count: rows * columns, progress) { q, target in
        let numbers = source.data.assumingMemoryBound(to: Float.self)
        target.update(from: numbers, count: tail.rowCount)
        for p in 0..<rows * columns {
          let distance = (abs(p / columns - q / columns), abs(p % columns - q % columns))
          let factor: Float = isWide ? Self.fade(distance.0) * Self.fade(distance.1) : p == q ? 1 : 0
          if factor == 1 { continue }
          for k in 0..<layer.channels {
            let place = layer.place(channel: k, position: p)
            target[place] = factor == 0 ? 0 : numbers[place] * factor
          }
        }
      } _: { q, logits in
        let scores = scoring(logits)
        for (c, index) in subject.classes.enumerated() { grids[c][q] = scores[index] }
      }
      return grids.map { DrawnMap(grid: Heatmap($0, width: columns, height: rows)) }
    }
  }

  private static func fade(_ distance: Int) -> Float { distance == 0 ? 0.5 : distance == 1 ? 0.25 : 0 }
}
