extension Graph {
  /// The indices of the nodes that `fetches` depend on, given that the values in `known` are there already,
  /// in an order in which they can run.
  public func live(for fetches: [ValueID], known: Set<ValueID>) -> [Int] {
    let producers = producers()
    var wanted = Set<Int>()
    var pending = fetches
    while let value = pending.popLast() {
      guard !known.contains(value), let node = producers[value], wanted.insert(node).inserted else { continue }
      pending += read(by: nodes[node])
    }
    return wanted.sorted()
  }

  /// The values that depend on any of `values`, and those themselves.
  public func dependents(of values: Set<ValueID>) -> Set<ValueID> {
    var found = values
    for node in nodes where read(by: node).contains(where: found.contains) {
      found.formUnion(node.outputs.compactMap { $0 })
    }
    return found
  }

  /// The values that a node of this graph reads, itself and in the graphs within it; some more than once.
  public func read(by node: Node) -> [ValueID] {
    var values = node.inputs.compactMap { $0 }
    for case .graph(let body) in node.attributes.values { values += captured(by: body) }
    return values
  }

  /// The values of this graph that a subgraph refers to by name.
  func captured(by body: Graph) -> [ValueID] {
    var own = Set(body.inputs.map(\.value)).union(body.constants.keys).union(body.unreadable.keys)
    var used: [ValueID] = body.outputs.map(\.value)
    var found: [ValueID] = []
    for node in body.nodes {
      own.formUnion(node.outputs.compactMap { $0 })
      used += node.inputs.compactMap { $0 }
      for case .graph(let inner) in node.attributes.values {
        found += body.captured(by: inner).filter { !own.contains($0) }.compactMap { value(named: body.name(of: $0)) }
      }
    }
    return found + used.filter { !own.contains($0) }.compactMap { value(named: body.name(of: $0)) }
  }

  /// The fed values that `value` depends on, where all in `fed` are fed.
  public func ancestors(of value: ValueID, among fed: Set<ValueID>) -> Set<ValueID> {
    let producers = producers()
    var found = Set<ValueID>()
    var seen = Set<ValueID>()
    var pending = [value]
    while let value = pending.popLast() {
      guard seen.insert(value).inserted else { continue }
      if fed.contains(value) {
        found.insert(value)
      } else if let node = producers[value] {
        pending += read(by: nodes[node])
      }
    }
    return found
  }
}
