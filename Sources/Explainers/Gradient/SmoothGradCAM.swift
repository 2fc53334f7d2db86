import Explanations
import Graph
import Models
import Parallel
import Tensors
import Transforms

/// Smooth Grad-CAM++ (Omeiza et al., 2019): Grad-CAM++ with gradients and their powers averaged over copies of the
/// image with noise: w_k = Σ α·ReLU(ḡ), α = mean g² / (2·mean g² + ΣA·mean g³), A of the image itself.
///
/// SCOUTER's program takes Σ(A·mean g³) for ΣA·mean g³, and for ḡ and for the activations of the sum those of the last
/// copy.
struct SmoothGradCAM: Explainer {
  let name = "smooth-grad-cam++"
  let summary = "Grad-CAM++ averaged over copies of the image with noise."
  let parameters =
    Target.parameters + [
      Parameter("samples", default: 8, in: 1...1000, "Copies with noise."),
      Parameter(
        "std", default: 0.3, in: 0...1e6, "Standard deviation of the noise, in the space that the model is fed in."),
      Parameter("compat", choices: ["none", "scouter"], default: "none", Compat.summary),
    ]
  let draws = Target.draws + [Noise.draw]
  let tapsLayers = true
  let drawsNumbers = true

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableLayer }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let noise = try Noise(
      request, samples: request.settings.integer("samples"), std: Float(request.settings.number("std")))
    let target = try Target(request)
    var results = PendingExplanations(request)
    let parts = request.progress.parts([Double](repeating: 1, count: request.images.count))
    for image in request.images.indices {
      let prepared = try request.model.prepared(request.images[image], request.progress)
      let shape = Shape(trusted: Array(prepared.shape.dimensions.dropFirst()))
      let layers = try request.featureLayers(shape)
      let (classes, values) = try request.classesOfImage(
        image, prepared, target, parts[image].polling, &results, fetch: layers.map(\.value))
      let activations = try zip(layers, values).map { try LayerMaps($0, $1, row: 0) }
      var powers = classes.map { _ in activations.map { Powers(like: $0) } }
      let stream = Variants(count: noise.samples, shape: shape, image: image) { sample, memory in
        memory.update(from: prepared.data.assumingMemoryBound(to: Float.self), count: shape.count)
        try noise.add(sample, UnsafeMutableBufferPointer(start: memory, count: shape.count))
      }
      let taps = layers.map(\.value)
      try request.model.forEachBackward(
        of: stream, target: target.head.logits, at: { _ in taps }, rules: .standard,
        early: { _ in [target.head.output, target.head.logits] + taps }, request.call, parts[image],
        weights: { batch in
          try request.targetWeights(batch, batch.items.map { _ in classes }, target.weights)
        }
      ) { batch, round, gradients in
        for row in batch.items.indices {
          for (i, layer) in layers.enumerated() {
            powers[round][i].add(
              try LayerMaps(layer, gradients[i], row: row), of: try LayerMaps(layer, batch.early[2 + i], row: row),
              share: 1 / Float(noise.samples))
          }
        }
      }
      for (round, index) in classes.enumerated() {
        let maps = zip(activations, powers[round]).map { DrawnMap(grid: $1.map($0, compat).rectified) }
        results.add(try DrawnMap.mean(maps), image: image, round: round, class: index)
      }
    }
    return try results.explanations(compat)
  }

  /// Means of the powers of the gradients over the copies, and the last copy.
  private struct Powers {
    var mean: [Float]
    var square: [Float]
    var cube: [Float]
    var last: (gradients: LayerMaps, activations: LayerMaps)?

    init(like maps: LayerMaps) {
      mean = [Float](repeating: 0, count: maps.values.count)
      (square, cube) = (mean, mean)
    }

    mutating func add(_ gradients: LayerMaps, of activations: LayerMaps, share: Float) {
      for (i, g) in gradients.values.enumerated() {
        mean[i] += share * g
        square[i] += share * g * g
        cube[i] += share * g * g * g
      }
      last = (gradients, activations)
    }

    func map(_ clean: LayerMaps, _ compat: Compat) -> Heatmap {
      let isScouter = compat == .scouter
      let (slope, shown) = isScouter ? (last?.gradients.values ?? mean, last?.activations ?? clean) : (mean, clean)
      let positions = clean.positions
      let weights = (0..<clean.channels).map { k in
        let range = k * positions..<(k + 1) * positions
        let sum = clean[k].reduce(0, +)
        let products = zip(clean[k], cube[range]).reduce(Float(0)) { $0 + $1.0 * $1.1 }
        return range.reduce(into: Float(0)) { weight, i in
          let below = 2 * square[i] + (isScouter ? products : sum * cube[i])
          if below != 0 || isScouter { weight += square[i] / below * max(slope[i], 0) }
        }
      }
      return shown.heatmap(isScouter ? shown.scouterSum(weights: weights) : shown.sum(weights: weights))
    }
  }
}
