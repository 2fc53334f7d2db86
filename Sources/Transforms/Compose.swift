public import Graph
import Operators

extension Graph {
  /// Makes chains of element-wise nodes that come from one value and lead to one, with nothing read in between, one
  /// `limpid.Composition` each. Values in `fetched` stay, and `fed` ones are not known.
  public func composingElementwise(fetched: Set<ValueID>, fed: Set<ValueID>) -> Graph {
    var graph = self
    let (consumers, producers) = (consumers(), producers())
    var (taken, dead) = (Set<Int>(), Set<Int>())
    for i in nodes.indices.reversed() where !taken.contains(i) && accepts(i, fed) {
      // What is quantised next is rounded to steps together with what made it.
      let readers = nodes[i].output(0).flatMap { consumers[$0] } ?? []
      if readers.contains(where: { nodes[$0].operation == "QuantizeLinear" }) { continue }
      guard let (chain, input) = chain(endingAt: i, fetched, fed, consumers, producers, taken),
        let composed = Composition.node(chain.map { nodes[$0] }, of: input, in: self)
      else { continue }
      taken.formUnion(chain)
      graph.nodes[i] = composed
      dead.formUnion(chain.dropLast())
    }
    graph.nodes = graph.nodes.indices.filter { !dead.contains($0) }.map { graph.nodes[$0] }
    return graph
  }

  private static let longest = 32

  private func accepts(_ i: Int, _ fed: Set<ValueID>) -> Bool {
    Composition.accepts(nodes[i], in: self)
      && !nodes[i].inputs.contains { $0.map { constants[$0] != nil && fed.contains($0) } ?? false }
  }

  /// The most nodes before `last`, and it, that depend on one value only, and that one; nil where that is `last` alone.
  private func chain(
    endingAt last: Int, _ fetched: Set<ValueID>, _ fed: Set<ValueID>, _ consumers: [ValueID: [Int]],
    _ producers: [ValueID: Int], _ taken: Set<Int>
  ) -> (nodes: [Int], input: ValueID)? {
    var members: Set<Int> = [last]
    var open = openInputs(of: last)
    var best: (nodes: [Int], input: ValueID)?
    while members.count <= Self.longest {
      if open.count == 1, let input = open.first, members.count > 1,
        members.contains(where: { Composition.isOfFloats(nodes[$0], in: self) })
      {
        best = (members.sorted(), input)
      }
      // The value that is made last: what others of these depend on is reached by way of them.
      guard let value = open.max(by: { producers[$0] ?? -1 < producers[$1] ?? -1 }), let maker = producers[value],
        !taken.contains(maker), !fetched.contains(value), !fed.contains(value), accepts(maker, fed),
        consumers[value]?.allSatisfy(members.contains) ?? false
      else { break }
      members.insert(maker)
      open.remove(value)
      open.formUnion(openInputs(of: maker))
    }
    return best
  }

  private func openInputs(of i: Int) -> Set<ValueID> {
    Set(nodes[i].inputs.compactMap { $0 }.filter { constants[$0] == nil })
  }
}
