import Engine
import Graph
import Kernels
import Parallel
import Tensors
import Testing

/// A chain of operators that a plan may run in any layout: the elements must come out where ONNX says.
struct LayoutChain: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let shape: Shape
  let nodes: [(String, [String: Attribute], input: [Int64]?)]

  /// `isChannelsLast` feeds the values as [N, spatial axes..., C] and lets a Transpose bring them into ONNX order,
  /// which the plan takes for the channels-last layout.
  func run(isChannelsLast: Bool) throws -> Tensor {
    var graph = Graph()
    graph.opsets[""] = 17
    let last = shape.rank - 1
    let values = (0..<shape.count).map { Float($0) }
    var fed = try Tensor(values, shape)
    var value = graph.addValue("fed")
    let input = value
    func add(_ operation: String, _ attributes: [String: Attribute], _ more: [ValueID] = []) {
      let output = graph.addValue("value\(graph.nodes.count)")
      graph.nodes.append(Node(operation, inputs: [value] + more, outputs: [output], attributes: attributes))
      value = output
    }
    if isChannelsLast {
      let copy = try Tensor(.float32, Shape(trusted: [shape[0]] + shape.dimensions[2...] + [shape[1]]))
      try Kernels(.portable).permute(
        fed.data, shape: shape.dimensions, permutation: [0] + Array(2...last) + [1], elementSize: 4, into: copy.data,
        .serial)
      fed = copy
      add("Transpose", ["perm": .ints([0, last] + Array(1..<last))])
    }
    for (operation, attributes, target) in nodes {
      var more: [ValueID] = []
      if let target {
        let constant = graph.addValue("shape\(graph.nodes.count)")
        graph.constants[constant] = try Tensor(target, [target.count])
        more = [constant]
      }
      add(operation, attributes, more)
    }
    let engine = Engine(graph, kernels: try Kernels.selected(), limit: MemoryLimit(bytes: 1 << 28))
    return try engine.run([(input, fed)], fetch: [value], parallel: Parallel(threads: 2), progress: .unwatched)[0]
  }

  static let all: [LayoutChain] = [
    LayoutChain(
      testDescription: "channels cut into groups, the pixels joined", shape: [2, 6, 2, 4],
      nodes: [("Reshape", [:], [2, 2, 3, 8]), ("Transpose", ["perm": .ints([0, 1, 3, 2])], nil)]),
    LayoutChain(
      testDescription: "channel shuffle", shape: [2, 6, 3, 4],
      nodes: [
        ("Reshape", [:], [2, 2, 3, 3, 4]), ("Transpose", ["perm": .ints([0, 2, 1, 3, 4])], nil),
        ("Reshape", [:], [2, 6, 3, 4]),
      ]),
    LayoutChain(
      testDescription: "split attention", shape: [2, 6, 3, 4],
      nodes: [
        ("Reshape", [:], [2, 2, 3, 3, 4]), ("ReduceSum", ["keepdims": .int(0)], [1]),
        ("ReduceMean", ["axes": .ints([2, 3])], nil),
      ]),
    LayoutChain(
      testDescription: "groups softmax and back", shape: [2, 6, 3, 4],
      nodes: [
        ("Reshape", [:], [2, 2, 3, 3, 4]), ("Softmax", ["axis": .int(1)], nil), ("Reshape", [:], [2, 6, 12]),
        ("Transpose", ["perm": .ints([0, 2, 1])], nil),
      ]),
    LayoutChain(
      testDescription: "pixels to tokens and back", shape: [2, 6, 3, 4],
      nodes: [
        ("Reshape", [:], [2, 6, 12]), ("Transpose", ["perm": .ints([0, 2, 1])], nil), ("Softmax", [:], nil),
        ("Transpose", ["perm": .ints([0, 2, 1])], nil), ("Reshape", [:], [2, 6, 3, 4]),
      ]),
    LayoutChain(
      testDescription: "batch and channels mixed", shape: [2, 6, 3, 4],
      nodes: [("Reshape", [:], [4, 3, 3, 4]), ("Transpose", ["perm": .ints([1, 0, 3, 2])], nil)]),
    LayoutChain(
      testDescription: "channels and pixels mixed", shape: [2, 6, 3, 4],
      nodes: [("Reshape", [:], [2, 9, 2, 4]), ("Relu", [:], nil), ("Reshape", [:], [2, 72])]),
    LayoutChain(
      testDescription: "reduced over the batch", shape: [2, 6, 3, 4],
      nodes: [("ReduceSum", ["keepdims": .int(0)], [0]), ("Reshape", [:], [6, 12])]),
    LayoutChain(
      testDescription: "sequence of signals", shape: [2, 6, 5],
      nodes: [("Reshape", [:], [2, 3, 2, 5]), ("Transpose", ["perm": .ints([0, 3, 1, 2])], nil)]),
  ]
}

@Test(arguments: LayoutChain.all)
func layoutsDoNotMoveElements(chain: LayoutChain) throws {
  let expected = try chain.run(isChannelsLast: false)
  let found = try chain.run(isChannelsLast: true)
  #expect(found.shape == expected.shape)
  let error = zip(found.array(of: Float.self), expected.array(of: Float.self)).map { abs($0 - $1) }.max() ?? 1
  #expect(error < 1e-4)
}
