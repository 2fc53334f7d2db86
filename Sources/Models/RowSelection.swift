import Engine
public import Graph
import Operators
public import Parallel
public import Tensors

/// A value that is computed with some rows only of weights that have one for each class.
///
/// The maps of all classes cost as much as a good part of the classifier: TAME's last 1×1 convolutions have a row of
/// weights for each of a thousand classes. Which rows are wanted is fed late, since it may depend on the scores; so
/// what the convolutions read is not moved between the two parts.
public struct RowSelection: Sendable {
  let value: ValueID
  let weights: [ValueID]
  /// How many rows the weights have.
  public let rowCount: Int

  struct Key: Hashable {
    let feeds: [ValueID]
    let types: [ElementType]
    let shapes: [Shape]
    let early: [ValueID]
    let value: ValueID
    let weights: [ValueID]
    let count: Int
  }

  /// The tensor that is fed late, where there is room for `count` rows; the first one fills the rest.
  public func rows(_ indices: [Int], of count: Int) throws -> Tensor {
    guard let first = indices.first, indices.count <= count, indices.allSatisfy((0..<rowCount).contains) else {
      throw Failure(.invalidModel, "weights with \(rowCount) rows have no row \(indices.max() ?? 0)")
    }
    let filled = indices + [Int](repeating: first, count: count - indices.count)
    return try Tensor(filled.map(Int64.init), [count])
  }

  fileprivate func run(
    _ engine: Engine, _ feeds: [(value: ValueID, type: ElementType, shape: Shape)], early: [ValueID], count: Int,
    _ parallel: Parallel
  ) throws -> TwoPartRun {
    var graph = engine.graph
    let indices = graph.addValue()
    let chosen = Dictionary(weights.map { ($0, graph.addValue()) }) { first, _ in first }
    for i in graph.nodes.indices {
      graph.nodes[i].inputs = graph.nodes[i].inputs.map { value in value.map { chosen[$0] ?? $0 } }
    }
    graph.nodes.insert(
      contentsOf: chosen.map { weight, rows in
        Node(
          "Gather", inputs: [weight, indices], outputs: [rows], attributes: ["axis": .int(0)], version: Emitter.version)
      }, at: 0)
    let late = Operand(.int64, Shape(trusted: [count]))
    let emitter = try engine.extended(to: graph).trace(
      feeds: feeds + [(indices, late.type, late.shape)], fetches: early + [value], parallel: parallel,
      progress: .unwatched)
    return TwoPartRun(
      engine.extended(to: emitter.graph), feeds: feeds.map(\.value), early: early, late: (indices, late),
      fetches: [value])
  }
}

extension Model {
  /// The weights `names`, as those that the value `output` is made with; nil where there are none.
  public func rowSelection(of output: String, by names: String?) throws -> RowSelection? {
    guard let names = names?.split(separator: " ").map(String.init), !names.isEmpty else { return nil }
    let weights = try names.map { name in
      let value = try value(named: name)
      guard let shape = graph.constants[value]?.shape, shape.rank > 0, shape[0] > 0 else {
        throw Failure(.invalidModel, "the class weights \(quoted(name)) are no weights of the model")
      }
      return (value: value, rows: shape[0])
    }
    guard weights.allSatisfy({ $0.rows == weights[0].rows }) else {
      throw Failure(
        .invalidModel, "the class weights \(names.map(quoted).joined(separator: ", ")) are for different classes")
    }
    return RowSelection(value: try value(named: output), weights: weights.map(\.value), rowCount: weights[0].rows)
  }

  /// Runs in two parts for feeds of these types and shapes: up to `early`, then to the selected value, of which `count`
  /// rows are there.
  public func run(
    _ selection: RowSelection, count: Int, feeds: [(value: ValueID, type: ElementType, shape: Shape)],
    early: [ValueID], _ parallel: Parallel
  ) throws -> TwoPartRun {
    let key = RowSelection.Key(
      feeds: feeds.map(\.value), types: feeds.map(\.type), shapes: feeds.map(\.shape), early: early,
      value: selection.value, weights: selection.weights, count: count)
    return try rowSelections.value(key) { try selection.run(engine, feeds, early: early, count: count, parallel) }
  }
}
