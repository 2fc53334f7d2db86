import Models
import Tensors

/// Which classes of an image to explain: what `--class` says.
enum ClassChoice {
  case predicted
  /// The least probable class: the one that a negative model has most to say about.
  case least
  case all
  case index(Int)

  /// `text` is a choice, or several with commas between them. A label may contain commas itself.
  /// `output` holds the scores; nil: the one that is found. Throws `notFound` for a label that the model does not have.
  static func parse(_ text: String, for model: Model, _ output: String?) throws -> [ClassChoice] {
    if let choice = try? one(text, for: model, output) { return [choice] }
    return try text.split(separator: ",", omittingEmptySubsequences: false).map {
      try one(String($0), for: model, output)
    }
  }

  private static func one(_ text: String, for model: Model, _ output: String?) throws -> ClassChoice {
    switch text {
    case "predicted": return .predicted
    case "least": return .least
    case "all": return .all
    default: break
    }
    if let index = Int(text) {
      let known = try output.map(model.requiredScores)?.classCount ?? model.classCount
      if let count = known, !(0..<count).contains(index) {
        throw Failure(
          .invalidArgument, "class \(index) is out of range; the model has \(count) classes, 0 to \(count - 1)")
      }
      return .index(index)
    }
    let labels = model.metadata.labels
    if let index = try model.classIndex(labelled: text) { return .index(index) }
    let alike = labels.indices.filter { labels[$0].lowercased() == text.lowercased() }
    if alike.count == 1 { return .index(alike[0]) }
    throw Failure(
      .notFound, "there is no class \(quoted(text)); \(suggestion(for: text, among: labels))\(Self.known(labels))")
  }

  private static func known(_ labels: [String]) -> String {
    if labels.isEmpty { return "the model has no labels, so classes are given by number" }
    let shown = labels.prefix(12).map(quoted).joined(separator: ", ")
    return labels.count > 12
      ? "the model has \(labels.count), such as \(shown); limpid inspect lists them" : "the model has \(shown)"
  }

  /// The classes to explain, the predicted one as nil. `probabilities` is asked for where it takes a run to know.
  func classes(_ model: Model, _ output: String?, _ probabilities: () throws -> [Float]) throws -> [Int?] {
    switch self {
    case .predicted: return [nil]
    case .index(let index): return [index]
    case .all: return try Array(0..<(output == nil ? model.classCount ?? probabilities().count : probabilities().count))
    case .least:
      let values = try probabilities()
      return values.indices.min { values[$0] < values[$1] }.map { [$0] } ?? []
    }
  }
}
