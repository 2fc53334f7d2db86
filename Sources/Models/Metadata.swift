public import Images
import Tensors

/// What a model file says beyond ONNX, in its `metadata_props` under the prefix `limpid.` (docs/model-format.md).
public struct Metadata: Sendable {
  /// What an output means.
  public enum Role: String, Sendable, CaseIterable {
    case logits
    case logProbabilities = "log_probabilities"
    /// Exclusive ones: of a softmax.
    case probabilities
    /// One for each class, whatever the others are: of sigmoids.
    case independentProbabilities = "independent_probabilities"
    /// Numbers of their own: a regression.
    case values
    /// A map for each class.
    case attention
    case slotAttention = "slot_attention"
    /// A map for each head.
    case tokenAttention = "token_attention"
    /// Maps of a layer, and word vectors of its filters (LaViSE).
    case features, embeddings

    /// Whether a softmax or sigmoid was applied.
    public var isNormalized: Bool {
      switch self {
      case .logProbabilities, .probabilities, .independentProbabilities: true
      default: false
      }
    }

    /// Whether the output has a number for each class.
    var isScore: Bool {
      switch self {
      case .logits, .logProbabilities, .probabilities, .independentProbabilities, .values: true
      case .attention, .slotAttention, .tokenAttention, .features, .embeddings: false
      }
    }
  }

  /// Every key of the file, ours and others'.
  public let entries: [String: String]
  public let family: String
  public let labels: [String]
  public let preprocessing: Preprocessing?
  /// Values that CAM methods are to tap, best first, where the file says so.
  public let layers: [String]

  /// `preprocessing`, where it is given, stands for what the entries say of it.
  public init(_ entries: [String: String], preprocessing: Preprocessing? = nil) throws {
    self.entries = entries
    if let format = entries["limpid.format"], format != "1" {
      throw Failure(
        .unsupported, "the model file has metadata of format \(quoted(format)); this version of Limpid reads format 1")
    }
    for (key, word) in entries where key.hasPrefix("limpid.output.") && Role(rawValue: word) == nil {
      throw Failure(
        .invalidModel,
        "metadata \(quoted(key)) is \(quoted(word)); an output can be "
          + Role.allCases.map(\.rawValue).joined(separator: ", "))
    }
    family = entries["limpid.family"] ?? "classifier"
    labels = Self.lines(entries["limpid.labels"])
    // What `limpid-convert annotate` of earlier versions chose, which it wrote with a layout, is left to the graph: it
    // took attention scores for maps.
    let source = entries["limpid.source"] ?? ""
    let isChosenByAnnotate =
      family == "classifier" && source.contains("converter limpid-convert")
      && !source.contains("architecture ")
    layers = Self.lines(entries["limpid.layers"]).compactMap { line in
      let words = line.split(separator: " ")
      return isChosenByAnnotate && words.count > 1 ? nil : words.first.map(String.init)
    }
    self.preprocessing =
      try preprocessing
      ?? entries["limpid.preprocess"].map { text in
        try locating("metadata limpid.preprocess") { try Preprocessing(parsing: text) }
      }
  }

  public func role(of output: String) -> Role? { entries["limpid.output.\(output)"].flatMap { Role(rawValue: $0) } }

  /// What the file says of a parameter of one of its own methods.
  public func parameter(_ name: String, of method: String) -> String? { entries["limpid.explain.\(method).\(name)"] }

  /// The same, where it must be a number.
  public func number(_ name: String, of method: String) throws -> Double? {
    guard let text = parameter(name, of: method) else { return nil }
    guard let value = Double(text), value.isFinite else {
      throw Failure(.invalidModel, "metadata limpid.explain.\(method).\(name) is \(quoted(text)), not a number")
    }
    return value
  }

  private static func lines(_ text: String?) -> [String] {
    guard let text, !text.isEmpty else { return [] }
    // A CR LF is one character.
    var lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }.map(String.init)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }
}
