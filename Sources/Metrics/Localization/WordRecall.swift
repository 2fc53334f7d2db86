import Explainers
import Explanations
import Models
import Tensors

/// Recall at k of words for a filter (Yang, Kim & Joo, CVPR 2022, "LaViSE", section 4.1): of what people see where the
/// filter is active, the share that is among the first k words found for the image.
///
/// The maps are the filter's activations; its region is where they are above `threshold`. An annotated thing counts
/// where it has more than `overlap` of its union with the region; images without one are undefined (NaN) and left out
/// of the mean. `details["counts"]` has 1 for each thing that counts. The authors' program has no recall. `compat` "fact-2023": region (bilinear) and masks (nearest) at
/// 224×224, as that reproduction has it. "lavise": both at the size of the maps, and the words are those of the name
/// that the filter has after this image, counted over the images up to it, as the other reproduction has it.
struct WordRecall: Metric {
  let name = "recall"
  let better = Direction.more
  let summary = "Of people's words for what a filter is active at, the share among those found for it; more is better."
  let needsModel = false
  let draws = [
    Draw("words", "[maps, words]: the vocabulary's numbers of the words found for each image, nearest first."),
    Draw("labels", "[things, 2]: of each annotated thing the number of its map, and of its word."),
    Draw("mask", "[things, height, width]: not 0 where each is, at the size of the maps."),
    Draw("weight", "[maps]: with compat lavise, what each image's words count; else 1."),
  ]
  let parameters = [
    Parameter("k", default: 5, in: 1...100_000, "How many words count."),
    Parameter("threshold", default: 0.0, in: -1e30...1e30, "What activations of the region are above."),
    Parameter("overlap", default: 0.04, in: 0...1, "The share of the union that a thing must exceed to count."),
    Parameter(
      "size", default: 0, in: 0...65_535,
      "Side that regions and masks are compared at; 0: their own, with compat fact-2023 224."),
    Parameter("compat", choices: ["none", "fact-2023", "lavise"], default: "none", Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let settings = request.settings
    let compat = try settings.word("compat")
    let asked = try settings.integer("size")
    let size = asked > 0 ? asked : compat == "fact-2023" ? 224 : 0
    let limit = try settings.integer("k")
    let words = try Self.words(request)
    let maps = try request.maps()
    let things = try Things(request, maps)
    let (threshold, overlap) = (try settings.number("threshold"), try settings.number("overlap"))
    var counts = [UInt8](repeating: 0, count: things.count)
    let truths = try (0..<request.count).map { index in
      var map = maps[index]
      if size > 0 { map = try map.resized(height: size, width: size) }
      let region = map.flat.map { Double($0) > threshold }
      let annotations = things.of(index, height: map.height, width: map.width)
      for (thing, annotation) in zip(things.places(of: index), annotations) {
        counts[thing] = Recall.words(in: region, of: [annotation], above: overlap).isEmpty ? 0 : 1
      }
      return Recall.words(in: region, of: annotations, above: overlap)
    }
    let shares: [Double?]
    if compat == "lavise" {
      let weights = try request.call.draw("weight", [request.count])?.array(of: Float.self)
      shares = Recall.cumulative(
        truths.indices.map { Recall.Image(truth: truths[$0], words: words[$0], weight: Double(weights?[$0] ?? 1)) },
        limit: limit)
    } else {
      guard request.call.draws["weight"] == nil else {
        throw Failure(.invalidArgument, "the draws \"weight\" are read with compat lavise only; leave them out")
      }
      shares = truths.indices.map { Recall.share(of: truths[$0], in: words[$0].prefix(limit)) }
    }
    return Measurement(
      shares.map { $0 ?? .nan }, details: [("counts", try Tensor(counts, .uint8, Shape(checking: [counts.count])))],
      chosen: ["size": .number(Double(size))])
  }

  private static func words(_ request: MeasurementRequest) throws -> [[Int]] {
    guard let tensor = request.call.draws["words"] else {
      throw Failure(.invalidArgument, "the metric \"recall\" needs the draws \"words\", \"labels\" and \"mask\"")
    }
    let isOne = tensor.shape.rank == 1 && request.count == 1
    guard isOne || tensor.shape.rank == 2 && tensor.shape[0] == request.count else {
      throw Failure(
        .invalidArgument, "the draws \"words\" are of shape \(tensor.shape), not [\(request.count)×words]")
    }
    let numbers = try locating("draws \"words\"") { try tensor.integers() }
    let size = numbers.count / request.count
    return (0..<request.count).map { Array(numbers[$0 * size..<($0 + 1) * size]) }
  }
}

/// What is annotated in the images.
private struct Things {
  private let labels: [Int]
  private let masks: [Float]
  private let height: Int
  private let width: Int

  init(_ request: MeasurementRequest, _ maps: Maps) throws {
    guard let given = request.call.draws["labels"], given.shape.rank == 2, given.shape[1] == 2,
      let masks = try request.call.draw("mask", [given.shape[0], nil, nil])
    else {
      throw Failure(
        .invalidArgument,
        "the metric \"recall\" needs the draws \"labels\", [things×2], and \"mask\", "
          + "[things×height×width]")
    }
    labels = try locating("draws \"labels\"") { try given.integers() }
    (height, width) = (masks.shape[1], masks.shape[2])
    guard labels.isEmpty || masks.shape.count > 0 else {
      throw Failure(.invalidArgument, "the draws \"mask\" are empty")
    }
    self.masks = masks.array(of: Float.self)
    guard stride(from: 0, to: labels.count, by: 2).allSatisfy({ (0..<request.count).contains(labels[$0]) }) else {
      throw Failure(.invalidArgument, "the draws \"labels\" name maps beyond the \(request.count) that there are")
    }
  }

  var count: Int { labels.count / 2 }

  func places(of index: Int) -> [Int] { (0..<count).filter { labels[2 * $0] == index } }

  func of(_ index: Int, height newHeight: Int, width newWidth: Int) -> [Recall.Annotation] {
    let size = height * width
    return places(of: index).map { thing in
      let mask = masks[thing * size..<(thing + 1) * size].map { $0 != 0 }
      let enlarged = Recall.enlarged(mask, width: width, height: height, to: (width: newWidth, height: newHeight))
      return Recall.Annotation(word: labels[2 * thing + 1], mask: enlarged)
    }
  }
}
