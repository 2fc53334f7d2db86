import Engine
public import Graph
public import Parallel
public import Tensors

extension Model {
  /// Runs the model, or the part of it between them, from named values to named values; no preprocessing.
  ///
  /// Throws `notFound` for names that the model does not have, `invalidArgument` where a feed contradicts what
  /// the model declares, or is missing.
  public func run(
    _ feeds: [(name: String, tensor: Tensor)], fetch names: [String], _ call: Call, _ progress: Progress
  ) throws -> [Tensor] {
    try call.refuseMethodSettings(for: "running a model")
    try call.refuseImageSettings(for: "running a model")
    let parallel = parallel(for: call)
    let given = try checked(feeds, for: needs(names))
    let (engine, fetches) = try located(names, given, parallel)
    return try engine.run(given, fetch: fetches, parallel: parallel, progress: progress)
  }

  /// Named values as the engine takes them, by id; all that the values `names` depend on.
  func checked(
    _ feeds: [(name: String, tensor: Tensor)], for names: [String]
  ) throws -> [(value: ValueID, tensor: Tensor)] {
    var fed: [ValueID: Tensor] = [:]
    for (name, tensor) in feeds {
      let value = try value(named: name)
      guard fed.updateValue(tensor, forKey: value) == nil else {
        throw Failure(.invalidArgument, "the value \(quoted(name)) is fed twice")
      }
      if let declaration = plainEngine.graph.inputs.first(where: { $0.value == value }) {
        try declaration.check(tensor, name)
      }
    }
    try checkComplete(Set(fed.keys), for: try names.map { try value(named: $0) }, of: plainEngine.graph)
    return fed.sorted { $0.key < $1.key }.map { (value: $0.key, tensor: $0.value) }
  }

  /// Runs the part of the model between `feeds` and `fetches`, whatever the model declares; of `call` only threads
  /// count. Throws `invalidArgument` where an input is missing.
  public func run(
    _ feeds: [(value: ValueID, tensor: Tensor)], fetch fetches: [ValueID], _ call: Call, _ progress: Progress
  ) throws -> [Tensor] {
    try checkComplete(Set(feeds.map(\.value)), for: fetches)
    return try engine.run(feeds, fetch: fetches, parallel: parallel(for: call), progress: progress)
  }

  /// Every input that the fetches depend on is fed, or lies behind a value that is; `own`: nil for the graph that runs
  /// from images.
  func checkComplete(_ fed: Set<ValueID>, for fetches: [ValueID], of own: Graph? = nil) throws {
    let graph = own ?? graph
    let inputs = Set(graph.inputs.map(\.value))
    let live = graph.live(for: fetches, known: fed.union(graph.constants.keys))
    let needed = fetches + live.flatMap { graph.read(by: graph.nodes[$0]) }
    if let missing = needed.first(where: { inputs.contains($0) && !fed.contains($0) }) {
      throw Failure(.invalidArgument, "the input \(quoted(graph.name(of: missing))) is needed, but not fed")
    }
  }
}
