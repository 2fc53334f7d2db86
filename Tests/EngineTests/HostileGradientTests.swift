import Engine
import Graph
import Kernels
import Operators
import Parallel
import Tensors
import Testing
import Transforms

/// Rules read what planning has let pass: gradients of nodes that make no sense are numbers or failures, never the end.
@Suite(.timeLimit(.minutes(10))) struct HostileGradientTests {
  /// Differentiates the sum of each output by each fed floating-point value, and runs what comes of it.
  private func differentiate(_ graph: SmallGraph, _ outputs: [String], failing: Bool = false) throws {
    let engine = try graph.engine()
    let feeds = graph.feeds
    for output in outputs.compactMap({ graph.graph.value(named: $0) }) {
      for feed in feeds where feed.tensor.type == .float32 {
        do {
          var emitter = try engine.trace(
            feeds: feeds.map { ($0.value, $0.tensor.type, $0.tensor.shape) }, fetches: [output, feed.value],
            parallel: .serial, progress: .unwatched)
          let target = try emitter.operand(output)
          let seed = emitter.feed(target.type, target.shape)
          let gradients = try emitter.differentiate(output, seed: seed, at: [feed.value])
          #expect(try emitter.operand(gradients[0]).shape == feed.tensor.shape)
          let weights = try Tensor.zeros(target.type, target.shape)
          _ = try engine.extended(to: emitter.graph).run(
            feeds + [(seed, weights)], fetch: gradients, parallel: .serial, progress: .unwatched)
        } catch let failure as Failure {
          if failing { throw failure }
        }
      }
    }
  }

  @Test(arguments: HostileNode.all)
  func aNodeThatMakesNoSenseHasNoGradientThatTraps(node: HostileNode) throws {
    let (graph, outputs) = try node.graph()
    try differentiate(graph, outputs)
  }

  @Test func aMissingRuleNamesNodeAndOperator() throws {
    var graph = SmallGraph(opset: 18)
    graph.feed("x", try .zeros(.float32, [1, 1, 2, 2]))
    // A rule's own node has no rule: nothing asks for second derivatives.
    graph.node("PassWithin", domain: "limpid", ["x", "x"], ["y"], ["low": .float(0), "high": .float(1)])
    #expect {
      try differentiate(graph, ["y"], failing: true)
    } throws: { error in
      "\(error)".contains("PassWithin: ") && "\(error)".contains("no gradient is known of the operator")
    }
  }

  @Test(arguments: Operators.all.filter { $0.gradient != nil }.map { [$0.name, $0.domain] })
  func anyInputsAreAnsweredByEveryRule(operation: [String]) throws {
    for (count, rank) in (0...6).flatMap({ count in [0, 1, 2, 3, 4, 5].map { (count, $0) } }) {
      for extent in [0, 1, 2] {
        for integers in [0, 1, 2] {
          var graph = SmallGraph(opset: 13 + 5 * (rank % 2))
          for i in 0..<count {
            if i >= count - integers, i > 0 {
              try graph.constant("x\(i)", [Int64](repeating: 1, count: max(1, rank)))
            } else {
              graph.feed("x\(i)", try .zeros(.float32, Shape(checking: [Int](repeating: extent, count: rank))))
            }
          }
          let outputs = (0..<max(1, count % 4)).map { "y\($0)" }
          graph.node(
            operation[0], domain: operation[1], (0..<count).map { "x\($0)" }, outputs,
            rank > 2
              ? ["kernel_shape": .ints([Int](repeating: 1, count: rank - 2)), "hidden_size": .int(extent),
                 "num_groups": .int(1), "size": .int(3), "blocksize": .int(1), "to": .int(1)] : [:])
          try differentiate(graph, outputs)
        }
      }
    }
  }
}
