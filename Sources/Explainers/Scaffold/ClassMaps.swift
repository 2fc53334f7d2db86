import Explanations
import Graph
import Models
import Parallel
import Tensors

/// Methods whose attention gives one map per class, shown each on its own scale: TAME and L-CAM.
extension ExplanationRequest {
  static let classMapParameters = [
    Parameter(
      "normalize", choices: ["map", "none"], default: "map",
      "map: each map is spread over 0…1, before it is enlarged, as the authors do; none: the attention as it is.")
  ]

  /// Explains with the maps that the metadata of `method` names, in one pass for any number of classes.
  func explainWithClassMaps(of method: String) throws -> [Explanation] {
    let output = model.metadata.parameter("output", of: method) ?? "attention"
    let isSpread = try settings.word("normalize") == "map"
    guard let rows = try ClassRows(model, output, model.metadata.parameter("class_weights", of: method)) else {
      return try explain(fetching: [model.value(named: output)]) { tensors, classes, _ in
        let maps = try OutputMaps(tensors[0], named: output, count: classes.count)
        return try classes.enumerated().map { i, wanted in
          try wanted.map { Self.shown(try maps.grid(i, $0), isSpread) }
        }
      }
    }
    // The rest of the model is small beside what comes before it.
    return try explain(fetching: rows.features, bodyCost: 0.1) { features, classes, progress in
      var places: [Int: Int] = [:]
      for c in classes.joined() where places[c] == nil { places[c] = places.count }
      guard !places.isEmpty else { return classes.map { _ in [] } }
      let maps = try rows.maps(of: places.sorted { $0.value < $1.value }.map(\.key), features, call, progress)
      return try classes.enumerated().map { i, wanted in
        try wanted.map { Self.shown(try maps.grid(i, places[$0]!), isSpread) }
      }
    }
  }

  private static func shown(_ grid: Heatmap, _ isSpread: Bool) -> (grid: Heatmap, range: ClosedRange<Float>) {
    isSpread ? (grid.spread, 0...1) : (grid, grid.range)
  }
}

/// Computes the maps of some classes only.
///
/// The maps of all classes cost as much as a good part of the classifier: TAME's last 1×1 convolutions have a row of
/// weights for each of a thousand classes. The rest of the model behind the features that they read is run with the
/// rows of the wanted classes in place of all.
struct ClassRows {
  /// What the convolutions read.
  let features: [ValueID]
  private let model: Model
  private let output: String
  private let weights: [(value: ValueID, tensor: Tensor)]

  /// nil where `names` is: the metadata does not name weights with a row for each class.
  init?(_ model: Model, _ output: String, _ names: String?) throws {
    guard let names = names?.split(separator: " ").map(String.init), !names.isEmpty else { return nil }
    let graph = model.graph
    let values = try names.map { try model.value(named: $0) }
    let weights = try zip(names, values).map { name, value in
      guard let tensor = graph.constants[value], tensor.shape.rank > 0, tensor.shape[0] > 0 else {
        throw Failure(.invalidModel, "the class weights \(quoted(name)) are no weights of the model")
      }
      return (value: value, tensor: tensor)
    }
    guard weights.allSatisfy({ $0.tensor.shape[0] == weights[0].tensor.shape[0] }) else {
      throw Failure(
        .invalidModel, "the class weights \(names.map(quoted).joined(separator: ", ")) are for different classes")
    }
    var features: [ValueID] = []
    for node in graph.nodes where node.inputs.dropFirst().contains(where: { $0.map(values.contains) ?? false }) {
      if let input = node.inputs[0], !features.contains(input) { features.append(input) }
    }
    self.model = model
    self.output = output
    self.features = features
    self.weights = weights
  }

  /// The maps of `classes` in this order, from the values of `features`.
  func maps(of classes: [Int], _ features: [Tensor], _ call: Call, _ progress: Progress) throws -> OutputMaps {
    let given = zip(self.features, features).map { (value: $0, tensor: $1) }
    let rows = try weights.map { (value: $0.value, tensor: try $0.tensor.rows(classes)) }
    let maps = try model.run(given + rows, fetch: [model.value(named: output)], call, progress)[0]
    let result = try OutputMaps(maps, named: output, count: features.first?.shape.dimensions.first ?? 0)
    guard result.channels == classes.count else {
      throw Failure(.invalidModel, "the class weights give \(result.channels) maps for \(classes.count) classes")
    }
    return result
  }
}
