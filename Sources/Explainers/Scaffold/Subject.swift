import Explanations
import Graph
import Kernels
import Models
import Parallel
import Tensors

/// One image as a method that changes it, or its feature maps, sees it.
struct Subject {
  /// Its place in the call.
  let image: Int
  /// What the model is fed, [1, channels, height, width].
  let input: Tensor
  /// [channels, height, width]
  let shape: Shape
  let classes: [Int]
  let logits: [Float]
  /// The values that the method asked for, one image's.
  let values: [Tensor]

  var channels: Int { shape[0] }
  var height: Int { shape[1] }
  var width: Int { shape[2] }
  var pixels: Int { height * width }
  /// The fed numbers; valid as long as `input` lives.
  var start: UnsafePointer<Float> { UnsafePointer(input.data.assumingMemoryBound(to: Float.self)) }
}

extension ExplanationRequest {
  /// Explains image by image: `draw` makes the maps of each class, of what one pass of the image gave.
  func explainEach(
    _ compat: Compat, fetching values: (Shape) throws -> [ValueID] = { _ in [] },
    _ draw: (Subject, Progress) throws -> [[DrawnMap]]
  ) throws -> [Explanation] {
    let head = try requiredScores()
    var explanations: [Explanation] = []
    for image in images.indices {
      let progress = progress.range(image..<image + 1, of: images.count)
      try locating("image \(image)", if: images.count > 1) {
        let input = try model.prepared(images[image], progress)
        let shape = Shape(trusted: Array(input.shape.dimensions.dropFirst()))
        let found = try forward(image, input, shape, [head.output, head.logits] + values(shape), progress.polling)
        let scores = try Scores(found[0], count: 1, of: head)
        let classes = try resolvedClasses(image, scores, row: 0)
        let subject = Subject(
          image: image, input: input, shape: shape, classes: classes,
          logits: try LogitRows(found[1], count: 1)[0], values: Array(found[2...]))
        let maps = try draw(subject, progress)
        let field = try model.field(of: images[image])
        for (index, maps) in zip(classes, maps) {
          for map in maps {
            explanations.append(
              Explanation(
                image: image, classIndex: index, score: scores[0][index], grid: map.grid, range: map.range,
                field: field,
                details: map.details
              ).finished(compat, in: field))
            if explanations.count == 1 { try checkMemory(ofAllLike: explanations[0]) }
          }
        }
      }
      try progress.advance(1, of: 1)
    }
    return explanations
  }

  /// Values of image `image` of the call.
  func forward(
    _ image: Int, _ input: Tensor, _ shape: Shape, _ fetches: [ValueID], _ progress: Progress
  ) throws -> [Tensor] {
    var result: [Tensor] = []
    let one = Variants(count: 1, shape: shape, image: image) { _, target in
      target.update(from: input.data.assumingMemoryBound(to: Float.self), count: shape.count)
    }
    try model.forEachBatch(of: one, fetch: fetches, call, progress) { result = $0.tensors }
    return result
  }

  /// Runs forms that differ from the image in a region each: by regions where that is faster. `body` gets what `fetch`
  /// is for forms that ran together.
  func forEachForm(
    of subject: Subject, regions: [Region], fetch: ValueID, _ progress: Progress,
    write: @escaping (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void,
    _ body: (_ items: [Int], _ tensor: Tensor) throws -> Void
  ) throws {
    let forms = RegionalForms(of: subject.input, image: subject.image, regions: regions, write: write)
    let isDone = try model.forEachForm(forms, fetch: [fetch], call, progress) { items, tensors in
      try body(Array(items), tensors[0])
      try progress.polling.advance(0, of: 1)
    }
    if isDone { return }
    let stream = Variants(count: regions.count, shape: subject.shape, image: subject.image, write)
    try model.forEachBatch(of: stream, fetch: [fetch], call, progress) { batch in
      try body(batch.items, batch.tensors[0])
      try batch.progress.advance(0, of: 1)
    }
  }

  /// Runs `count` changed forms of an image, and gives the logits of each, in order.
  func forEachVariant(
    of subject: Subject, count: Int, _ progress: Progress,
    write: @escaping (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void,
    _ body: (_ i: Int, _ logits: [Float]) throws -> Void
  ) throws {
    let head = try requiredScores()
    let stream = Variants(count: count, shape: subject.shape, image: subject.image, write)
    try model.forEachBatch(of: stream, fetch: [head.logits], call, progress) { batch in
      let rows = try LogitRows(batch.tensors[0], count: batch.count)
      for (row, item) in batch.items.enumerated() { try body(item, rows[row]) }
      try batch.progress.advance(0, of: 1)
    }
  }
}

/// `body`, its failures told to be about `place` where there are several.
func locating<R>(_ place: String, if isNeeded: Bool, _ body: () throws -> R) throws -> R {
  isNeeded ? try locating(place, body) : try body()
}

extension Model {
  /// Whether changed forms of an image can be fed and scored.
  var scoresImages: Bool { possibleScores != nil && input != nil }

  /// Whether it also has feature maps to tap; true where that depends on the image's size.
  var hasFeatureLayer: Bool {
    guard scoresImages else { return false }
    guard let shape = fixedInputShape else { return true }
    return (try? analysis(for: shape, possibleScores))?.defaultLayer != nil
  }
}
