public import Graph
import Operators
import Tensors

extension Graph {
  /// Makes layer normalisations that exporters wrote as means, differences, powers and roots one `limpid.Normalization`
  /// each, with the scale and the shift that follow. Values in `fetched` stay, and `fed` ones are not known.
  public func joiningNormalization(fetched: Set<ValueID>, fed: Set<ValueID>) -> Graph {
    guard nodes.contains(where: { $0.operation == "ReduceMean" }) else { return self }
    let finder = NormalizationFinder(graph: self, kept: fetched.union(fed))
    var graph = self
    var dead = Set<Int>()
    for i in nodes.indices where !dead.contains(i) {
      guard let (node, place, parts) = finder.normalization(at: i) else { continue }
      graph.nodes[place] = node
      dead.formUnion(parts.subtracting([place]))
    }
    graph.nodes = graph.nodes.indices.filter { !dead.contains($0) }.map { graph.nodes[$0] }
    return graph
  }
}

/// Recognises `(x - mean(x)) / sqrt(mean((x - mean(x))²) + ε)`, one axis.
private struct NormalizationFinder {
  let graph: Graph
  let kept: Set<ValueID>
  private let producers: [ValueID: Int]
  private let consumers: [ValueID: [Int]]

  init(graph: Graph, kept: Set<ValueID>) {
    self.graph = graph
    self.kept = kept
    producers = graph.producers()
    consumers = graph.consumers()
  }

  /// The joined node, whose place it takes, and all nodes that it stands for; where node `i` is the quotient.
  func normalization(at i: Int) -> (node: Node, place: Int, parts: Set<Int>)? {
    guard let (difference, inverse, root) = quotient(i), let (x, axis, deviation) = deviation(difference),
      let (mean, epsilon, tail) = shifted(root), let (square, squareAxis) = meanOf(mean), squareAxis == axis,
      let squared = maker(square), let base = squareBase(graph.nodes[squared]),
      let (otherX, otherAxis, other) = self.deviation(base), otherX == x, otherAxis == axis, axis == -1 || axis == 1,
      let meanMaker = producers[mean]
    else { return nil }
    var parts = deviation.union(other).union(inverse).union(tail).union([squared, meanMaker])
    guard parts.allSatisfy({ isInner($0, parts.union([i])) }) else { return nil }
    parts.insert(i)
    var place = i
    var inputs: [ValueID?] = [x, nil, nil]
    for (slot, operation) in [(1, "Mul"), (2, "Add")] {
      guard let (next, row) = follower(of: place, operation, axis) else { continue }
      inputs[slot] = row
      place = next
      parts.insert(next)
    }
    var node = Node(
      AxisNormalization.name, domain: "limpid", name: graph.nodes[place].name, inputs: inputs,
      outputs: graph.nodes[place].outputs, attributes: ["axis": .int(axis), "epsilon": .float(epsilon)])
    node.module = graph.nodes[place].module
    return (node, place, parts)
  }

  /// A quotient by a root, or a product with its reciprocal: what is divided, the nodes between, the root.
  private func quotient(_ i: Int) -> (ValueID, Set<Int>, ValueID)? {
    let node = graph.nodes[i]
    guard node.domain.isEmpty, node.inputs.count == 2, let a = node.inputs[0], let b = node.inputs[1] else {
      return nil
    }
    if node.operation == "Div" { return (a, [], b) }
    guard node.operation == "Mul" else { return nil }
    for (factor, other) in [(a, b), (b, a)] {
      if let k = maker(other), graph.nodes[k].operation == "Reciprocal", let root = graph.nodes[k].inputs[0] {
        return (factor, [k], root)
      }
    }
    return nil
  }

  /// `sqrt(v + ε)`: v, ε and the nodes.
  private func shifted(_ root: ValueID) -> (ValueID, Float, Set<Int>)? {
    guard let k = maker(root) else { return nil }
    let node = graph.nodes[k]
    guard node.operation == "Sqrt" || node.operation == "Pow" && number(node.input(1)) == 0.5,
      let sum = node.inputs[0], let add = maker(sum), graph.nodes[add].operation == "Add"
    else { return nil }
    let (a, b) = (graph.nodes[add].input(0), graph.nodes[add].input(1))
    if let a, let epsilon = number(b) { return (a, epsilon, [k, add]) }
    if let b, let epsilon = number(a) { return (b, epsilon, [k, add]) }
    return nil
  }

  /// `x - mean(x)`: x, the axis and the nodes.
  private func deviation(_ value: ValueID) -> (ValueID, axis: Int, Set<Int>)? {
    guard let k = maker(value), graph.nodes[k].operation == "Sub", let x = graph.nodes[k].inputs[0],
      let mean = graph.nodes[k].input(1), let (source, axis) = meanOf(mean), source == x, let meanMaker = maker(mean)
    else { return nil }
    return (x, axis, [k, meanMaker])
  }

  /// What `value` is the mean of, kept in its rank, along one axis.
  private func meanOf(_ value: ValueID) -> (ValueID, axis: Int)? {
    guard let k = maker(value), graph.nodes[k].operation == "ReduceMean", let source = graph.nodes[k].inputs[0]
    else { return nil }
    let node = graph.nodes[k]
    if case .int(0)? = node.attributes["keepdims"] { return nil }
    if case .ints(let axes)? = node.attributes["axes"] { return axes.count == 1 ? (source, axes[0]) : nil }
    guard let axes = node.input(1), !kept.contains(axes),
      let known = try? graph.constants[axes]?.integers(), known.count == 1
    else { return nil }
    return (source, known[0])
  }

  private func squareBase(_ node: Node) -> ValueID? {
    guard node.inputs.count == 2 else { return nil }
    if node.operation == "Pow", number(node.inputs[1]) == 2 { return node.inputs[0] }
    return node.operation == "Mul" && node.inputs[0] == node.inputs[1] ? node.inputs[0] : nil
  }

  /// The node that alone reads the result of node `i`, where it is `operation` with a constant row for `axis`.
  private func follower(of i: Int, _ operation: String, _ axis: Int) -> (Int, ValueID)? {
    guard let value = graph.nodes[i].output(0), !kept.contains(value), let readers = consumers[value],
      readers.count == 1, case let node = graph.nodes[readers[0]], node.operation == operation, node.domain.isEmpty,
      node.inputs.count == 2, let other = node.inputs[0] == value ? node.inputs[1] : node.inputs[0],
      !kept.contains(other), let row = graph.constants[other], row.type.computed == .float32, row.count > 1
    else { return nil }
    let extents = row.shape.dimensions
    let fits = axis == -1 ? extents.count == 1 : extents.count >= 3 && extents[extents.count - 3] == row.count
    return fits && (axis == -1 || extents.count <= 4) ? (readers[0], other) : nil
  }

  /// Of at least one input.
  private func maker(_ value: ValueID) -> Int? {
    producers[value].flatMap { graph.nodes[$0].domain.isEmpty && !graph.nodes[$0].inputs.isEmpty ? $0 : nil }
  }

  /// Whether nobody but `parts` reads what node `i` makes.
  private func isInner(_ i: Int, _ parts: Set<Int>) -> Bool {
    graph.nodes[i].outputs.allSatisfy { value in
      value.map { !kept.contains($0) && consumers[$0]?.allSatisfy(parts.contains) ?? true } ?? true
    }
  }

  private func number(_ value: ValueID?) -> Float? {
    guard let value, !kept.contains(value), let tensor = graph.constants[value], tensor.count == 1,
      tensor.shape.rank <= 1, tensor.type.computed == .float32
    else { return nil }
    return try? tensor.computed().array(of: Float.self)[0]
  }
}
