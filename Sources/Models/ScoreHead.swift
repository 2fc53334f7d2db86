public import Graph
import Operators
import Tensors

/// Which output of a model holds its scores, and what they are by what the graph computes.
public struct ScoreHead: Sendable {
  public let output: ValueID
  public let name: String
  public let kind: Metadata.Role
  /// The scores before the softmax or sigmoid at the end, in the same order; `output` where there is none.
  public let logits: ValueID
  /// How probabilities are made of the logits; nil where the numbers are those of `output`.
  public var link: Link?
  /// What the numbers of `output` are divided by: 100 where they are percent, −1 where they are negative logarithms.
  var scale = 1.0
  /// Scores of one image: one for each class, or a single one.
  public let count: Int?
  /// Of an output with an extent in space, [N, classes, …]: its positions. Their numbers are no scores of the image,
  /// but targets of explanations.
  public var positions = 1

  /// One number that decides between two classes, or a value of its own.
  public var isSingle: Bool { count == 1 && kind != .values }
  /// Classes as callers count them: a single score is that of class 1 of two.
  public var classCount: Int? { isSingle ? 2 : count }

  /// Throws where the output has an extent in space.
  public func refusePositions() throws {
    guard positions > 1 else { return }
    throw Failure(
      .invalidArgument,
      "the output \(quoted(name)) has an extent in space: its \(positions) positions are no classes of the "
        + "image; methods that go by gradients can explain a class over its positions")
  }
}

/// Chooses among the outputs of a model.
struct ScoreHeads {
  private let graph: Graph
  private let metadata: Metadata
  private let tail: ScoreTail
  private let traced: Emitter?
  /// Whether the model takes one image at a time, so that scores may be without an axis for the batch.
  private let takesOneImage: Bool
  /// Images in the batch that the shapes are for.
  private let rows: Int

  /// `traced` is what is known of images of the model's own size, `tail` of these or others.
  init(_ graph: Graph, _ metadata: Metadata, _ traced: Emitter?, tail known: Emitter?, _ format: InputFormat?) {
    self.graph = graph
    self.metadata = metadata
    self.traced = traced
    takesOneImage = format?.batch == 1
    rows = format?.batch ?? 1
    tail = ScoreTail(
      known?.graph ?? graph, rows: rows, shape: { known?.operands[$0]?.shape.dimensions },
      constants: { known?.operands[$0]?.constant ?? graph.constants[$0] })
  }

  /// The output `wanted`, which may have an extent in space. Throws where it has no scores.
  func find(_ wanted: Declaration) throws -> ScoreHead {
    if let shape = shape(wanted.value), shape.count > 2, wanted.type.computed == .float32, !isScores(wanted) {
      var found = tail.findAlong(axis: 1, wanted.value)
      if max(found.scores.index, found.logits.index) >= graph.valueCount {
        found = ScoreTail.Found(kind: nil, logits: wanted.value, scores: wanted.value)
      }
      return ScoreHead(
        output: found.scores, name: graph.name(of: wanted.value), kind: found.kind ?? .logits, logits: found.logits,
        link: found.link, count: shape[1], positions: shape[2...].reduce(1, *))
    }
    try checkShape(wanted)
    return head(wanted)
  }

  /// The output that the metadata marks, else an only one that could hold scores, else the only one that ends in a
  /// softmax or sigmoid. Throws `invalidArgument`, listing the outputs, where none or several could be.
  func find() throws -> ScoreHead {
    let marked = graph.outputs.filter { metadata.role(of: graph.name(of: $0.value))?.isScore == true }
    if marked.count == 1 {
      try checkShape(marked[0])
      return head(marked[0])
    }
    // An output that the file says is something else is no score.
    let open = marked.isEmpty ? graph.outputs.filter { metadata.role(of: graph.name(of: $0.value)) == nil } : marked
    let possible = open.filter(isScores)
    if possible.count == 1 { return head(possible[0]) }
    let normalized = possible.map(head).filter(\.kind.isNormalized)
    // A softmax or sigmoid goes before what merely lies between 0 and 1, as the largest probability does.
    let ending = normalized.filter { $0.logits != $0.output }
    if ending.count == 1 { return ending[0] }
    if ending.isEmpty, normalized.count == 1 { return normalized[0] }
    if open.count == 1 { try checkShape(open[0]) }
    throw Failure(
      .invalidArgument,
      (possible.isEmpty ? "no output holds a score for each class" : "several outputs could hold the scores")
        + "; choose one (`output`), or mark it in the file (`limpid-convert annotate --scores NAME=logits`): "
        + graph.outputs.map { "\(quoted(graph.name(of: $0.value))) \(described($0))" }.joined(separator: ", "))
  }

  private func head(_ output: Declaration) -> ScoreHead {
    var found = tail.find(output.value)
    // Values inside the body of an If have no place in the graph itself.
    if found.scores.index >= graph.valueCount {
      (found.scale, found.scores) = (found.factor * found.scale, output.value)
      // Nothing takes a number off.
      if found.offset != 0 { found = ScoreTail.Found(kind: .values, logits: output.value, scores: output.value) }
    }
    if found.logits.index >= graph.valueCount { found = found.withoutLogits }
    let name = graph.name(of: output.value)
    guard let role = metadata.role(of: name), role.isScore else {
      return ScoreHead(
        output: found.scores, name: name, kind: found.kind ?? .logits, logits: found.logits, link: found.link,
        scale: found.scale, count: count(output))
    }
    // What the file says is said of the output's own numbers.
    let isOwn = found.scores == output.value && role.isNormalized
    return ScoreHead(
      output: output.value, name: name, kind: role, logits: isOwn ? found.logits : output.value,
      link: isOwn ? found.link : nil, count: count(output))
  }

  private func count(_ output: Declaration) -> Int? {
    // As many as are fed: the shapes are for one of them.
    let fed = graph.inputs.flatMap { $0.dimensions ?? [] }
    if let inner = output.dimensions?.dropFirst(), inner.contains(where: { $0.isNamed && fed.contains($0) }) {
      return nil
    }
    if let shape = shape(output.value) {
      if takesOneImage, shape.first != 1 || shape.count < 2 { return shape.reduce(1, *) }
      return shape.isEmpty ? 1 : shape[0] > 0 ? shape.dropFirst().reduce(1, *) : nil
    }
    guard let dimensions = output.dimensions, dimensions.count >= 2 else { return nil }
    return dimensions.dropFirst().reduce(1) { count, dimension in
      guard let count, case .fixed(let extent) = dimension else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      return overflow ? nil : product
    }
  }

  private func shape(_ value: ValueID) -> [Int]? { traced?.operands[value]?.shape.dimensions }

  /// [N, classes], or such with more axes of extent 1; without N where the model takes one image.
  private func isScores(_ output: Declaration) -> Bool {
    guard output.type.computed == .float32, !tail.isRanked(output.value) else { return false }
    if let shape = shape(output.value) {
      if takesOneImage, shape.count == 1 { return true }
      return shape.count >= 2 && shape[1...].count { $0 != 1 } <= 1
    }
    guard let dimensions = output.dimensions else { return true }
    if takesOneImage, dimensions.count == 1 { return true }
    return dimensions.count == 2 || dimensions.count > 2 && dimensions[2...].allSatisfy { $0 == .fixed(1) }
  }

  private func checkShape(_ output: Declaration) throws {
    guard !isScores(output) else { return }
    let rank = shape(output.value)?.count ?? output.dimensions?.count ?? 0
    throw Failure(
      .invalidArgument,
      "the output \(quoted(graph.name(of: output.value))) is \(described(output))"
        + (rank > 2
          ? ": it has an extent in space, and its positions are no classes; name it as `output` to explain a class over "
            + "its positions" : "")
        + (tail.isRanked(output.value) ? ": the largest numbers by rank (TopK), not by class" : "")
        + "; scores are floating-point [N, classes]")
  }

  /// "float32 [N×5]"
  private func described(_ output: Declaration) -> String {
    let extents =
      output.dimensions.map { dimensions in
        dimensions.enumerated().map { i, dimension in
          switch dimension {
          case .fixed(let extent): return "\(extent)"
          case .named(let name): return String(quoted(name).dropFirst().dropLast())
          case .unknown: return shape(output.value)?.dropFirst(i).first.map { i == 0 ? "N" : "\($0)" } ?? "?"
          }
        }
      } ?? shape(output.value)?.map(String.init)
    return "\(output.type) [\(extents?.joined(separator: "×") ?? "of unknown shape")]"
  }
}

extension Dimension {
  fileprivate var isNamed: Bool { if case .named = self { true } else { false } }
}
