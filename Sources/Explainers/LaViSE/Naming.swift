public import Explanations
public import Models
public import Parallel
import Tensors

/// How filters are named (LaViSE, section 3.4): of the images that excite a filter most, the words that are
/// nearest to what it sees in each, counted.
public struct Naming: Sendable {
  /// Images for each filter.
  public var images = 25
  /// Words for each image.
  public var words = 5
  /// Words in a name.
  public var outputWords = 10
  public var attention = FilterAttention.projection
  public var weighting = Weighting.once
  /// The share of a filter's activations, over all positions of all images, that is not in its region.
  public var quantile = 0.995
  /// Words that names may have; nil: all. What is left out of a name is not replaced, as in the authors'
  /// program.
  public var allowed: Set<String>?

  public init() {}

  public static let parameters = [
    Parameter("images_per_filter", default: 25, in: 1...100_000, "Images that a filter is named after: p."),
    Parameter("words", default: 5, in: 1...100_000, "Words taken from each image: s."),
    Parameter("output_words", default: 10, in: 1...100_000, "Words in a name."),
    attentionParameter,
    Parameter(
      "weighting", default: Weighting.once,
      "What an image's words count: once, or its largest activation rounded down (floor) or up (ceiling), or that of "
        + "the enlarged map rounded down (enlarged)."),
    Parameter(
      "quantile", default: 0.995, in: 0...1.0,
      "The share of a filter's activations that lies outside of its region, for attention activation and image."
    ).read(with: "attention", FilterAttention.allCases.filter(\.needsThreshold).map(\.rawValue)),
  ]

  public static let attentionParameter = Parameter(
    "attention", default: FilterAttention.projection,
    "How a filter's view is taken: projection on its map, its region in the maps (activation), its region in the "
      + "image, the whole (original) image.")

  /// Values of `parameters`. Throws where there is none of a name, or it is out of range or without an effect.
  public init(_ given: [String: ParameterValue]) throws {
    let settings = try Settings(Self.parameters, given, of: "naming filters")
    images = try settings.integer("images_per_filter")
    words = try settings.integer("words")
    outputWords = try settings.integer("output_words")
    attention = try settings.choice("attention")
    weighting = try settings.choice("weighting")
    quantile = try settings.number("quantile")
  }

  /// A name for each of `filters` of the model's target layer, in their order; nil: for all of them.
  ///
  /// One pass over the images, two where a region is needed, whose threshold depends on all of them. Memory
  /// is bounded by filters and images per filter, not by images. `call.parameters` are not looked at;
  /// layers, a seed and draws are refused.
  public func name(
    _ filters: [Int]?, of explainer: FilterExplainer, from images: ImageSet, _ call: Call, _ progress: Progress
  ) throws -> [FilterName] {
    try call.refuse(layers: true, seed: true, draws: [], for: "naming filters")
    if let filters, Set(filters).count != filters.count || filters.isEmpty {
      throw Failure(.invalidArgument, filters.isEmpty ? "there are no filters to name" : "a filter is given twice")
    }
    guard images.count > 0 else { throw Failure(.invalidArgument, "there are no images") }
    var survey = Survey(self, filters, explainer, images, call, progress)
    return try survey.run()
  }

  /// The name made of what was found in each image.
  func name(_ filter: Int, _ candidates: [Candidate], threshold: Double?, _ vocabulary: Vocabulary) -> FilterName {
    var counts = WordCounts()
    for candidate in candidates {
      counts.add(candidate.words.map(\.index), weight: weighting.weight(of: candidate.strength))
    }
    let words = counts.ranked.prefix(outputWords)
      .map { FilterName.Word(text: vocabulary[$0.word], index: $0.word, count: $0.count) }
      .filter { allowed?.contains($0.text) ?? true }
    return FilterName(
      filter: filter, words: words,
      images: candidates.map { .init(index: $0.image, activation: $0.activation, words: $0.words) },
      threshold: threshold)
  }
}

/// One of the images that excite a filter most so far.
struct Candidate {
  let image: Int
  let activation: Float
  /// The activation that the weighting looks at.
  var strength: Float
  /// The word vector of what the filter sees; empty until it is known.
  var embedding: [Float] = []
  var words: [Match] = []
}
