import Explanations
import Graph
import Models
import Parallel
import Tensors
import Transforms

/// An attribution of one class: a number for each value of the input, [channels, height, width].
struct Attribution {
  var values: [Float]
  let shape: Shape

  /// How an attribution becomes a map: over the colours of each pixel.
  enum Colors: String, CaseIterable { case sum, mean, maximum }

  static let colorsParameter = Parameter(
    "colors", default: Colors.sum, "How the attributions of a pixel's colours become one number of the map.")

  func map(_ colors: Colors) -> Heatmap {
    let (height, width) = (shape[1], shape[2])
    let size = height * width
    var map = [Float](repeating: colors == .maximum ? -.infinity : 0, count: size)
    for c in 0..<shape[0] {
      for p in 0..<size {
        let value = values[c * size + p]
        map[p] = colors == .maximum ? max(map[p], value) : map[p] + value
      }
    }
    if colors == .mean { map = map.map { $0 / Float(max(1, shape[0])) } }
    return Heatmap(map, width: width, height: height)
  }

  func drawn(_ colors: Colors) throws -> DrawnMap {
    let grid = map(colors)
    return DrawnMap(
      grid: grid, range: Self.range(of: grid), details: [("attribution", try Tensor(values, shape))])
  }

  /// What colours span of amounts for and against: up to the size that 99 of 100 pixels do not exceed, and as far below
  /// 0 where there are both signs. A few pixels exceed the others so far that these would all look alike. nil where
  /// nearly all are 0.
  static func range(of grid: Heatmap) -> ClosedRange<Float>? {
    let sizes = grid.values.map(abs).filter(\.isFinite)
    guard !sizes.isEmpty else { return nil }
    let size = sizes.selected(rank: (sizes.count - 1) * 99 / 100)
    guard size > 0 else { return nil }
    return grid.range.lowerBound < 0 ? -size...size : 0...size
  }
}

/// Variants of images that a method looks at in place of each image: copies with noise, points on a path.
struct InputVariants {
  /// How many there are of each image.
  var count = 1
  /// Changes variant `i` of image `image` in place, from what the image itself is; nil: the one variant is the image.
  var change: ((_ image: Int, _ i: Int, _ values: UnsafeMutableBufferPointer<Float>) throws -> Void)?
}

extension ExplanationRequest {
  /// Explains with the target's gradients by the input, of some variants of each image. `add` takes the gradient of a
  /// variant into the attribution, which begins as `moments` times as many zeros as the image has values; `finish`
  /// makes the map of it and the prepared image at the end.
  func explainInputs(
    _ variants: InputVariants, rules: GradientRules = .standard, moments: Int = 1,
    add: (_ attribution: inout [Float], _ gradient: UnsafeBufferPointer<Float>, _ variant: Int) -> Void,
    finish: (_ attribution: Attribution, _ image: UnsafeBufferPointer<Float>) throws -> DrawnMap
  ) throws -> [Explanation] {
    let target = try Target(self)
    let input = try model.imageInput()
    var results = PendingExplanations(self)
    let parts = progress.parts([Double](repeating: 1, count: images.count))
    for image in images.indices {
      let prepared = try model.prepared(images[image], progress)
      let shape = Shape(trusted: Array(prepared.shape.dimensions.dropFirst()))
      // The classes are those of the image itself, which is not among its variants but where it is the only one.
      var wanted =
        variants.change == nil
        ? nil : try classesOfImage(image, prepared, target, parts[image].polling, &results).classes
      var sums: [[Float]] = []
      let stream = Variants(count: variants.count, shape: shape, image: image) { i, memory in
        memory.update(from: prepared.data.assumingMemoryBound(to: Float.self), count: shape.count)
        try variants.change?(image, i, UnsafeMutableBufferPointer(start: memory, count: shape.count))
      }
      try model.forEachBackward(
        of: stream, target: target.head.logits, at: { _ in [input] }, rules: rules,
        early: { _ in [target.head.output, target.head.logits] }, call, parts[image],
        weights: { batch in
          if wanted == nil {
            let scores = try Scores(batch.early[0], count: batch.items.count, of: target.head)
            wanted = try resolvedClasses(image, scores, row: 0)
            results.note(scores[0], image)
          }
          let classes = wanted ?? []
          if sums.isEmpty {
            // Sums and maps of each class.
            try requireMemory(4 * moments * shape.count + 8 * (shape.count / max(1, shape[0])), of: classes.count)
            sums = classes.map { _ in [Float](repeating: 0, count: moments * shape.count) }
          }
          return try targetWeights(batch, batch.items.map { _ in classes }, target.weights)
        }
      ) { batch, round, gradients in
        let gradient = try gradients[0].aligned()
        for (row, variant) in batch.items.enumerated() {
          let start = gradient.data.assumingMemoryBound(to: Float.self) + row * shape.count
          add(&sums[round], UnsafeBufferPointer(start: start, count: shape.count), variant)
        }
      }
      for (round, sum) in sums.enumerated() {
        let whole = UnsafeBufferPointer(
          start: prepared.data.assumingMemoryBound(to: Float.self), count: shape.count)
        results.add(
          try finish(Attribution(values: sum, shape: shape), whole), image: image, round: round,
          class: wanted?[round] ?? -1)
      }
    }
    return try results.explanations(.none)
  }

  /// The classes to explain of one image, by one forward pass, and the values of `fetches` in it.
  func classesOfImage(
    _ image: Int, _ prepared: Tensor, _ target: Target, _ progress: Progress, _ results: inout PendingExplanations,
    fetch fetches: [ValueID] = []
  ) throws -> (classes: [Int], values: [Tensor]) {
    let shape = Shape(trusted: Array(prepared.shape.dimensions.dropFirst()))
    let stream = Variants(count: 1, shape: shape, image: image) { _, memory in
      memory.update(from: prepared.data.assumingMemoryBound(to: Float.self), count: shape.count)
    }
    var wanted: [Int] = []
    var values: [Tensor] = []
    try model.forEachBatch(of: stream, fetch: [target.head.output] + fetches, call, progress) { batch in
      let scores = try Scores(batch.tensors[0], count: 1, of: target.head)
      wanted = try resolvedClasses(image, scores, row: 0)
      results.note(scores[0], image)
      values = Array(batch.tensors[1...])
    }
    return (wanted, values)
  }
}
