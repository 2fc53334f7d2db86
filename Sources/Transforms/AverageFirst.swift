public import Graph
import Operators
import Tensors

extension Graph {
  /// Averages windows before convolutions of 1×1 in place of behind them, as DenseNet's transitions have it: both are
  /// linear, and an average leaves a bias alone, so the sums are the same, of as many fewer pixels.
  /// Values in `fetched` stay, and `fed` ones are not known. Of convolutions as `foldingBatchNormalization` leaves them.
  public func averagingFirst(fetched: Set<ValueID>, fed: Set<ValueID>) -> Graph {
    var graph = self
    var consumers: [ValueID: [Int]]?
    for (i, node) in nodes.enumerated() where isPointwise(node, fed) {
      guard let value = node.output(0), !fetched.contains(value), !fed.contains(value) else { continue }
      if consumers == nil { consumers = self.consumers() }
      guard let users = consumers?[value], users.count == 1, averages(nodes[users[0]], of: value) else { continue }
      var (average, product) = (nodes[users[0]], node)
      let averaged = graph.addValue()
      average.inputs[0] = node.inputs[0]
      product.outputs = average.outputs
      product.inputs[0] = averaged
      average.outputs = [averaged]
      (graph.nodes[i], graph.nodes[users[0]]) = (average, product)
    }
    return graph
  }

  /// A convolution that looks at one pixel for each.
  private func isPointwise(_ node: Node, _ fed: Set<ValueID>) -> Bool {
    guard node.operation == "Conv", node.domain == "limpid", node.outputs.count == 1,
      node.inputs.count == Conv.inputCount, node.inputs[Conv.residual] == nil, node.attributes["activation"] == nil,
      let weights = node.inputs[1],
      let shape = constants[weights]?.shape, shape.rank > 2,
      node.inputs.dropFirst().allSatisfy({ $0.map { constants[$0] != nil && !fed.contains($0) } ?? true })
    else { return false }
    return shape.dimensions[2...].allSatisfy { $0 == 1 } && node.lists("strides", only: 1)
      && node.lists("pads", only: 0)
  }

  /// Whether a node averages windows of `value`, fewer than it has pixels. Of windows with padding, some may lie in it
  /// wholly, where the average is 0 and not the bias.
  private func averages(_ node: Node, of value: ValueID) -> Bool {
    guard node.domain.isEmpty, node.inputs == [value], node.outputs.count == 1 else { return false }
    if node.operation == "GlobalAveragePool" { return true }
    return node.operation == "AveragePool" && !node.lists("strides", only: 1) && node.lists("pads", only: 0)
      && (try? node.flag("ceil_mode")) == false
      && ["NOTSET", "VALID"].contains(try? node.string("auto_pad", default: "NOTSET"))
  }
}

extension Node {
  /// Whether an attribute is left out or lists this number alone.
  fileprivate func lists(_ name: String, only number: Int) -> Bool {
    guard let attribute = attributes[name] else { return true }
    if case .ints(let values) = attribute { return values.allSatisfy { $0 == number } }
    return false
  }
}
