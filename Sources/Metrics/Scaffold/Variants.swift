import Explanations
import Models
import Parallel
import Tensors

/// One map and the image that it is of, as the model is fed it.
struct Subject {
  /// Which of the maps.
  let index: Int
  /// [1, channels, height, width]
  let input: Tensor
  let channels: Int
  let height: Int
  let width: Int

  var pixels: Int { height * width }
  var count: Int { channels * pixels }
  /// Valid as long as `input` lives.
  var start: UnsafePointer<Float> { UnsafePointer(input.data.assumingMemoryBound(to: Float.self)) }
  /// The fed numbers, a copy.
  var values: [Float] { input.array(of: Float.self) }
}

/// What one form of a subject scored.
struct Scored {
  /// Which of the maps.
  let index: Int
  /// 0: the image as it is; then its changed forms.
  let variant: Int
  /// How many changed forms there are.
  let variants: Int
  /// The class that is measured.
  let classIndex: Int
  /// Its score.
  let score: Double
  /// The class with the largest score of this form.
  let predicted: Int
}

/// Writes changed forms of a subject, from 1 on.
typealias VariantWriter = (_ variant: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void

extension MeasurementRequest {
  /// Scores every image as it is, and its changed forms, all in one stream; `body` gets them in order.
  ///
  /// - Parameters:
  ///   - count: how many changed forms an image of a shape has
  ///   - prepare: makes what writes them; it is kept for one subject at a time
  func forEachVariant(
    _ quantity: Scoring.Quantity, count: (Shape) throws -> Int, prepare: @escaping (Subject) throws -> VariantWriter,
    _ body: (Scored) throws -> Void
  ) throws {
    let model = try model()
    let head = try model.requiredScores(call.output)
    let scoring = Scoring(head: head, quantity: quantity)
    let stream = try VariantStream(self, model, count: count, prepare: prepare)
    var measured = 0
    try model.forEachBatch(of: stream, fetch: [head.output, head.logits], call, progress) { batch in
      let scores = try Scores(batch.tensors[0], count: batch.count, of: head)
      let logits = try batch.tensors[1].floats().array(of: Float.self)
      let size = logits.count / batch.count
      for (row, item) in batch.items.enumerated() {
        let (index, variant) = stream.place(item)
        if variant == 0 {
          measured = classes[index] ?? scores.predicted(row)
          try checkClass(measured, scores.classCount)
        }
        let all = scoring(Array(logits[row * size..<(row + 1) * size]))
        guard measured < all.count else { throw Failure(.unsupported, "the model has \(all.count) logits") }
        try body(
          Scored(
            index: index, variant: variant, variants: stream.variants(of: index), classIndex: measured,
            score: Double(all[measured]), predicted: scores.predicted(row)))
      }
      try batch.progress.advance(0, of: 1)
    }
  }

  /// The class and the scores of each map's image, and of the one form of it that `change` makes.
  func compare(
    _ quantity: Scoring.Quantity, change: @escaping (Subject) throws -> VariantWriter
  ) throws -> (clean: [Double], changed: [Double]) {
    var clean = [Double](repeating: .nan, count: count)
    var changed = clean
    try forEachVariant(quantity, count: { _ in 1 }, prepare: change) { scored in
      if scored.variant == 0 { clean[scored.index] = scored.score } else { changed[scored.index] = scored.score }
    }
    return (clean, changed)
  }
}

/// Images as they are, each followed by its changed forms; one image and what changes it are held at a time.
private final class VariantStream: InputStream {
  private let request: MeasurementRequest
  private let model: Model
  private let prepare: (Subject) throws -> VariantWriter
  private let shapes: [Shape]
  /// Where each subject's items start, and the end of all.
  private let starts: [Int]
  private var image: (index: Int, input: Tensor)?
  private var current: (subject: Subject, write: VariantWriter)?

  init(
    _ request: MeasurementRequest, _ model: Model, count: (Shape) throws -> Int,
    prepare: @escaping (Subject) throws -> VariantWriter
  ) throws {
    self.request = request
    self.model = model
    self.prepare = prepare
    shapes = try request.images.enumerated().map { i, image in
      try locating("image \(i)") { try model.preparedShape(of: image) }
    }
    var starts = [0]
    for index in 0..<request.count { starts.append(starts[index] + 1 + (try count(shapes[request.image(of: index)]))) }
    self.starts = starts
  }

  var count: Int { starts[starts.count - 1] }
  func variants(of index: Int) -> Int { starts[index + 1] - starts[index] - 1 }

  /// The subject that an item belongs to, and which form of it that is.
  func place(_ item: Int) -> (index: Int, variant: Int) {
    var (low, high) = (0, starts.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= item { low = middle } else { high = middle }
    }
    return (low, item - starts[low])
  }

  func image(_ i: Int) -> Int? { request.image(of: place(i).index) }

  func shape(_ i: Int) -> Shape? { shapes[request.image(of: place(i).index)] }

  func write(_ i: Int, into target: UnsafeMutablePointer<Float>) throws {
    let (index, variant) = place(i)
    try locating("image \(request.image(of: index))") {
      let (subject, write) = try prepared(index)
      if variant > 0 { return try write(variant, target) }
      withExtendedLifetime(subject.input) { target.update(from: subject.start, count: subject.count) }
    }
  }

  private func prepared(_ index: Int) throws -> (subject: Subject, write: VariantWriter) {
    if let current, current.subject.index == index { return current }
    let number = request.image(of: index)
    let input: Tensor
    if let image, image.index == number {
      input = image.input
    } else {
      input = try model.prepared(request.images[number], request.progress)
    }
    image = (number, input)
    let shape = shapes[number]
    let subject = Subject(index: index, input: input, channels: shape[0], height: shape[1], width: shape[2])
    // The order of the pixels, their places in it, and what is put in their stead.
    try requireMemory(shape[1] * shape[2], of: 32)
    let made = (subject, try prepare(subject))
    current = made
    return made
  }
}
