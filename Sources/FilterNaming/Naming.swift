public import Models
import Parallel
import Tensors

/// How filters are named (LaViSE, section 3.4): of the pictures that excite a filter most, the words that are
/// nearest to what it sees in each, counted.
public struct Naming: Sendable {
  /// Pictures for each filter.
  public var pictures = 25
  /// Words for each picture.
  public var words = 5
  /// Words in a name.
  public var outputWords = 10
  public var attention = Attention.projection
  public var weighting = Weighting.once
  /// The share of a filter's activations, over all positions of all pictures, that is not in its region.
  public var quantile = 0.995
  /// Words that names may have; nil: all. What is left out of a name is not replaced, as in the authors'
  /// program.
  public var allowed: Set<String>?

  public init() {}

  public static let parameters = [
    Parameter("images_per_filter", default: 25, in: 1...100_000, "Pictures that a filter is named after: p."),
    Parameter("words", default: 5, in: 1...100_000, "Words taken from each picture: s."),
    Parameter("output_words", default: 10, in: 1...100_000, "Words in a name."),
    attentionParameter,
    Parameter(
      "weighting", default: 0, in: 0...3,
      "What a picture's words count: 0 once, 1 its largest activation rounded down, 2 rounded up, 3 that of the "
        + "enlarged map rounded down."),
    Parameter(
      "quantile", default: 0.995, in: 0...1,
      "The share of a filter's activations that lies outside of its region, for attention 1 and 2."),
  ]

  public static let attentionParameter = Parameter(
    "attention", default: 0, in: 0...3,
    "How a filter's view is taken: 0 projection on its map, 1 its region in the maps, 2 its region in the picture, "
      + "3 the whole picture.")

  /// Values of `parameters`. Throws where there is none of a name, or it is out of range.
  public init(_ given: [String: Double]) throws {
    let values = try Self.parameters.values(given, of: "naming filters")
    func integer(_ name: String) -> Int { values[name].map { Int($0) } ?? 0 }
    pictures = integer("images_per_filter")
    words = integer("words")
    outputWords = integer("output_words")
    attention = Attention(rawValue: integer("attention")) ?? .projection
    weighting = Weighting(rawValue: integer("weighting")) ?? .once
    quantile = values["quantile"] ?? quantile
  }

  /// A name for each of `filters` of the model's target layer, in their order; nil: for all of them.
  ///
  /// One pass over the pictures, two where a region is needed, whose threshold depends on all of them. Memory
  /// is bounded by filters and pictures per filter, not by pictures. `call.parameters` are not looked at.
  public func name(
    _ filters: [Int]?, of explainer: FilterExplainer, from pictures: PictureSet, _ call: Call = Call()
  ) throws -> [FilterName] {
    if let filters, Set(filters).count != filters.count || filters.isEmpty {
      throw Failure(.invalidArgument, filters.isEmpty ? "there are no filters to name" : "a filter is given twice")
    }
    guard pictures.count > 0 else { throw Failure(.invalidArgument, "there are no images") }
    var survey = Survey(self, filters, explainer, pictures, call)
    return try survey.run()
  }

  /// The name made of what was found in each picture.
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
      pictures: candidates.map { .init(index: $0.picture, activation: $0.activation, words: $0.words) },
      threshold: threshold)
  }
}

/// One of the pictures that excite a filter most so far.
struct Candidate {
  let picture: Int
  let activation: Float
  /// The activation that the weighting looks at.
  var strength: Float
  /// The word vector of what the filter sees; empty until it is known.
  var embedding: [Float] = []
  var words: [Match] = []
}
