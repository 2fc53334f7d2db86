// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Indices of `nodes` such that each comes after those that make what it uses; the order of the file is kept
/// where it can be. `uses[i]` are the values that node i uses. Throws where nodes wait for each other.
///
/// Depth-first, with a stack of its own: a chain may be as long as the file likes.
func topologicalOrder(of nodes: [Node], uses: [[ValueID]], valueCount: Int) throws -> [Int] {
  enum State { case waiting, open, done }
  var producers = [Int?](repeating: nil, count: valueCount)
  for (i, node) in nodes.enumerated() {
    for case let output? in node.outputs { producers[output.index] = i }
  }
  var states = [State](repeating: .waiting, count: nodes.count)
  var order: [Int] = []
  order.reserveCapacity(nodes.count)
  var path: [(node: Int, nextUse: Int)] = []
  for root in nodes.indices where states[root] == .waiting {
    states[root] = .open
    path.append((root, 0))
    while let (node, next) = path.last {
      guard next < uses[node].count else {
        states[node] = .done
        order.append(node)
        path.removeLast()
        continue
      }
      path[path.count - 1].nextUse += 1
      guard let producer = producers[uses[node][next].index] else { continue }
      switch states[producer] {
      case .done: break
      case .waiting:
        states[producer] = .open
        path.append((producer, 0))
      case .open:
        throw Failure(.invalidModel, "node \(nodes[producer].title) uses, through others or itself, its own output")
      }
    }
  }
  return order
}
