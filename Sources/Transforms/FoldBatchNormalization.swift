public import Graph
import Operators

extension Graph {
  /// Makes a convolution and the batch normalisation that alone reads its result one `limpid.Conv`, whose inputs are
  /// [x, weights, bias?, scale, shift, mean, variance, residual?]; values in `fetched` stay, and `fed` ones are not
  /// known, also where the file has a value for them.
  ///
  /// Every other `Conv` becomes a `limpid.Conv` without these inputs, so that plans know one kind of convolution.
  public func foldingBatchNormalization(fetched: Set<ValueID>, fed: Set<ValueID>) -> Graph {
    var graph = self
    let consumers = consumers()
    var dead = Set<Int>()
    for (i, node) in nodes.enumerated() where node.operation == "Conv" && node.domain.isEmpty && node.inputs.count <= 3
    {
      var fused = node.owned
      fused.inputs = node.inputs + [ValueID?](repeating: nil, count: max(0, Conv.inputCount - node.inputs.count))
      if let output = node.output(0), !fetched.contains(output), !fed.contains(output),
        let users = consumers[output], users.count == 1,
        let normalization = foldable(nodes[users[0]], reading: output, fed)
      {
        for k in 1...4 { fused.inputs[2 + k] = normalization.inputs[k] }
        fused.attributes["epsilon"] = normalization.attributes["epsilon"] ?? .float(1e-5)
        fused.outputs = Array(normalization.outputs.prefix(1))
        // The normalisation's place is after every value that it reads.
        graph.nodes[users[0]] = fused
        dead.insert(i)
      } else {
        graph.nodes[i] = fused
      }
    }
    graph.nodes = graph.nodes.indices.filter { !dead.contains($0) }.map { graph.nodes[$0] }
    return graph
  }

  /// `node` where it normalises `value` with statistics that are known when the model is loaded.
  private func foldable(_ node: Node, reading value: ValueID, _ fed: Set<ValueID>) -> Node? {
    guard node.operation == "BatchNormalization", node.domain.isEmpty, node.inputs.count == 5,
      node.inputs[0] == value, node.outputs.dropFirst().allSatisfy({ $0 == nil }),
      node.inputs[1...].allSatisfy({ $0.map { constants[$0] != nil && !fed.contains($0) } ?? false })
    else { return nil }
    if case .int(1)? = node.attributes["training_mode"] { return nil }
    return node
  }
}
