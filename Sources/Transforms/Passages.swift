public import Graph
public import Operators

extension Emitter {
  /// The values that every way from `input` to `target` leads through, in the order of the graph: those after which
  /// nothing older of the input is read.
  public func passages(from input: ValueID, to target: ValueID) -> [ValueID] {
    var (reached, useful): (Set<ValueID>, Set<ValueID>) = ([input], [target])
    for node in graph.nodes where node.inputs.contains(where: { $0.map(reached.contains) ?? false }) {
      // What is known depends on shapes at most.
      reached.formUnion(node.outputs.compactMap { $0 }.filter { operands[$0]?.constant == nil })
    }
    for node in graph.nodes.reversed() where node.outputs.contains(where: { $0.map(useful.contains) ?? false }) {
      useful.formUnion(node.inputs.compactMap { $0 })
    }
    let between = reached.intersection(useful)
    var last: [ValueID: Int] = [:]
    for (i, node) in graph.nodes.enumerated() {
      for case let value? in node.inputs where between.contains(value) { last[value] = i }
    }
    var open: Set<ValueID> = [input]
    var found: [ValueID] = []
    for (i, node) in graph.nodes.enumerated() {
      open.formUnion(node.outputs.compactMap { $0 }.filter(between.contains))
      open = open.filter { $0 == target || (last[$0] ?? -1) > i }
      if open.count == 1, let only = open.first, only != found.last, only != input { found.append(only) }
    }
    return found
  }

  /// What `target` would be, were `other` in the place of `value`: the nodes between, once more.
  public mutating func computed(_ target: ValueID, with other: ValueID, for value: ValueID) throws -> ValueID {
    var copies = [value: other]
    for node in graph.nodes where node.inputs.contains(where: { $0.map { copies[$0] != nil } ?? false }) {
      let outputs = try again(node, node.inputs.map { $0.map { copies[$0] ?? $0 } })
      for case (let old?, let new?) in zip(node.outputs, outputs) { copies[old] = new }
    }
    return copies[target] ?? target
  }
}
