import Engine
import Graph
import Parallel
import Tensors

/// Values inside the bodies of If, Loop and Scan, which get a place when the shapes of the feeds are known.
extension Model {
  /// The values `names` and the engine that knows them: where some are inside bodies, one with these in their places.
  func located(
    _ names: [String], _ feeds: [(value: ValueID, tensor: Tensor)], _ parallel: Parallel
  ) throws -> (engine: Engine, values: [ValueID]) {
    if !areInBodies(names) { return (plainEngine, try names.map { try value(named: $0) }) }
    let flat = try plainEngine.flattened(
      feeds: feeds.map { ($0.value, $0.tensor.type, $0.tensor.shape) }, parallel: parallel, progress: .unwatched)
    let values = try names.map { name in
      if let value = graph.value(named: name) { return value }
      let made = flat.graph.instances(named: name)
      guard made.count <= 1 else {
        throw Failure(
          .unsupported,
          "the value \(quoted(name)) is made \(made.count) times, in bodies that are run repeatedly; only "
            + "one that is made once can be asked for")
      }
      return try made.first ?? value(named: name)
    }
    return (flat, values)
  }

  /// Whether any of `names` can only be found in a body.
  func areInBodies(_ names: [String]) -> Bool {
    let hasBodies = graph.nodes.contains { node in
      node.attributes.values.contains { if case .graph = $0 { true } else { false } }
    }
    return hasBodies && names.contains { graph.value(named: $0) == nil }
  }

  /// What must be fed so that `names` can be had: for values in bodies, all that the outputs need.
  func needs(_ names: [String]) -> [String] {
    areInBodies(names) ? graph.outputs.map { graph.name(of: $0.value) } : names
  }
}
