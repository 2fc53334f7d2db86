import Tensors

/// Subgraphs (bodies of If and Loop) made part of the graph that holds them.
extension Graph {
  /// Appends a copy of `body`'s nodes, its inputs bound to `arguments` (what is not bound must be captured by name).
  /// Returns the new nodes, in an order in which they can run, and the values that the body's outputs have become.
  /// With a `prefix`, new values are named `prefix/name` where that is free.
  public mutating func inline(
    _ body: Graph, arguments: [ValueID], under prefix: String? = nil
  ) throws -> (nodes: [Node], outputs: [ValueID]) {
    var mapped: [ValueID: ValueID] = [:]
    for (input, argument) in zip(body.inputs, arguments) { mapped[input.value] = argument }
    var renamed: [String: String] = [:]
    func fresh(_ value: ValueID) -> ValueID {
      // Else a name that no model can have taken, so that subgraphs inside of the body still find the value.
      let wish = prefix.map { "\($0)/\(body.name(of: value))" }
      let name = wish.flatMap { self.value(named: $0) == nil ? $0 : nil }
      let new = addValue(name ?? "\(body.name(of: value))\u{1}\(valueCount)")
      mapped[value] = new
      return new
    }
    for (value, tensor) in body.constants { constants[fresh(value)] = tensor }
    for (value, reason) in body.unreadable { unreadable[fresh(value)] = reason }
    for case let output? in body.nodes.flatMap(\.outputs) { _ = fresh(output) }
    for (value, new) in mapped { renamed[body.name(of: value)] = name(of: new) }
    func resolve(_ value: ValueID) throws -> ValueID {
      if let known = mapped[value] { return known }
      guard let outer = self.value(named: body.name(of: value)) else {
        throw Failure(.invalidModel, "a subgraph uses \(quoted(body.name(of: value))), which nothing makes")
      }
      return outer
    }
    var added: [Node] = []
    for node in body.nodes {
      var copy = node
      copy.inputs = try node.inputs.map { try $0.map(resolve) }
      copy.outputs = try node.outputs.map { try $0.map(resolve) }
      copy.attributes = node.attributes.mapValues { attribute in
        if case .graph(let inner) = attribute { .graph(inner.renamingCaptures(renamed)) } else { attribute }
      }
      added.append(copy)
    }
    nodes += added
    return (added, try body.outputs.map { try resolve($0.value) })
  }

  /// The values that `inline` made of the values called `name` in the bodies within this graph.
  public func instances(named name: String) -> [ValueID] {
    let start = "\(name)\u{1}"
    return names.indices.filter {
      names[$0].hasPrefix(start) && names[$0].dropFirst(start.count).allSatisfy(\.isNumber)
    }
    .map { ValueID($0) }
  }

  /// What a copy of this graph costs: its nodes, their operands, its values, and those of the graphs within it. A name
  /// counts by its length, since it is copied too.
  public var copyCost: Int {
    let values = names.reduce(inputs.count + outputs.count) { $0 + 1 + $1.utf8.count / 64 }
    return nodes.reduce(values) { sum, node in
      node.attributes.values.reduce(sum + 1 + node.inputs.count + node.outputs.count) { sum, attribute in
        if case .graph(let body) = attribute { sum + body.copyCost } else { sum }
      }
    }
  }

  /// This subgraph with other names for the values that it takes from the graphs around it.
  private func renamingCaptures(_ renamed: [String: String]) -> Graph {
    var copy = self
    var own = Set(inputs.map(\.value)).union(constants.keys).union(unreadable.keys)
    own.formUnion(nodes.flatMap(\.outputs).compactMap { $0 })
    for i in 0..<valueCount where !own.contains(ValueID(i)) {
      if let name = renamed[names[i]] { copy.rename(ValueID(i), name) }
    }
    let ownNames = Set(own.map { name(of: $0) })
    let inner = renamed.filter { !ownNames.contains($0.key) }
    for i in copy.nodes.indices {
      copy.nodes[i].attributes = copy.nodes[i].attributes.mapValues { attribute in
        if case .graph(let body) = attribute { .graph(body.renamingCaptures(inner)) } else { attribute }
      }
    }
    return copy
  }
}
