import Engine
import Graph
import Kernels
import Operators
import Parallel
import Tensors
import Testing

/// A node that no honest exporter writes. Inputs are float32 zeros of the given shapes, then int64 weights.
struct HostileNode: Sendable, CustomTestStringConvertible {
  let operation: String
  var attributes: [String: Attribute] = [:]
  var shapes: [Shape] = []
  var integers: [[Int64]] = []
  var outputs = 1
  var opset = 17

  var testDescription: String { "\(operation) \(attributes) \(shapes) \(integers)" }

  init(
    _ operation: String, _ attributes: [String: Attribute] = [:], _ shapes: [Shape], _ integers: [Int64]...,
    outputs: Int = 1, opset: Int = 17
  ) {
    self.operation = operation
    self.attributes = attributes
    self.shapes = shapes
    self.integers = integers
    self.outputs = outputs
    self.opset = opset
  }

  /// A graph of this node alone, and its outputs.
  func graph() throws -> (graph: SmallGraph, outputs: [String]) {
    var graph = SmallGraph(opset: opset)
    let fed = shapes.indices.map { "fed\($0)" }
    let weights = integers.indices.map { "weight\($0)" }
    for (name, shape) in zip(fed, shapes) { graph.feed(name, try Tensor.zeros(.float32, shape)) }
    for (name, list) in zip(weights, integers) { try graph.constant(name, list) }
    let results = (0..<outputs).map { "output\($0)" }
    graph.node(operation, fed + weights, results, attributes)
    return (graph, results)
  }

  func run() throws {
    let (graph, outputs) = try graph()
    _ = try graph.run(fetch: outputs, Kernels(.portable))
  }

  private static let picture: Shape = [1, 4, 5, 5]
  private static let kernel: Shape = [2, 4, 3, 3]
  private static let huge = Int64.max

  static let all: [HostileNode] = [
    HostileNode("Conv", ["strides": .ints([0, 1])], [picture, kernel]),
    HostileNode("Conv", ["strides": .ints([1])], [picture, kernel]),
    HostileNode("Conv", ["strides": .ints([1, Int.max])], [picture, kernel]),
    HostileNode("Conv", ["dilations": .ints([-1, 1])], [picture, kernel]),
    HostileNode("Conv", ["dilations": .ints([1, Int.max])], [picture, kernel]),
    HostileNode("Conv", ["pads": .ints([-9, 0, 0, 0])], [picture, kernel]),
    HostileNode("Conv", ["pads": .ints([Int.max, 0, Int.max, 0])], [picture, kernel]),
    HostileNode("Conv", ["group": .int(0)], [picture, kernel]),
    HostileNode("Conv", ["group": .int(3)], [picture, kernel]),
    HostileNode("Conv", ["group": .int(Int.max)], [picture, kernel]),
    HostileNode("Conv", ["kernel_shape": .ints([5, 5])], [picture, kernel]),
    HostileNode("Conv", ["auto_pad": .string("SAME")], [picture, kernel]),
    HostileNode("Conv", [:], [picture, [2, 4, 9, 9]]),
    HostileNode("Conv", [:], [picture, [2, 4, 0, 3]]),
    HostileNode("Conv", [:], [picture, kernel, [3]]),
    HostileNode("Conv", [:], [picture]),
    HostileNode("Conv", [:], []),
    HostileNode("ConvTranspose", ["output_shape": .ints([Int.max, 1])], [picture, [4, 2, 3, 3]]),
    HostileNode("ConvTranspose", ["output_padding": .ints([Int.min, 1])], [picture, [4, 2, 3, 3]]),
    HostileNode("ConvTranspose", ["pads": .ints([9, 9, 9, 9])], [picture, [4, 2, 3, 3]]),
    HostileNode("MaxPool", [:], [picture]),
    HostileNode("MaxPool", ["kernel_shape": .ints([0, 0])], [picture]),
    HostileNode("MaxPool", ["kernel_shape": .ints([Int.max, 1])], [picture]),
    HostileNode("AveragePool", ["kernel_shape": .ints([2])], [picture]),
    HostileNode("BatchNormalization", [:], [picture, [4], [4], [3], [4]]),
    HostileNode("BatchNormalization", ["training_mode": .int(1)], [[3], [3], [3], [3], [3]]),
    HostileNode("LayerNormalization", ["axis": .int(4)], [picture, [5]]),
    HostileNode("LayerNormalization", [:], [picture, [4]]),
    HostileNode("GroupNormalization", ["num_groups": .int(0)], [picture, [4], [4]]),
    HostileNode("LRN", ["size": .int(-1)], [picture]),
    HostileNode("Add", [:], [[2, 3], [2, 4]]),
    HostileNode("Add", [:], [[2, 3]]),
    HostileNode("Add", [:], [[1 << 20, 1], [1, 1 << 20]]),
    HostileNode("Mod", [:], [[2, 3]]),
    HostileNode("Mod", [:], [], [2, 3]),
    HostileNode("MatMul", [:], [[2, 3], [4, 2]]),
    HostileNode("MatMul", [:], [[1 << 14, 1, 1, 1], [1 << 14, 1, 1]]),
    HostileNode("Gemm", [:], [[2, 3], [4, 2]]),
    HostileNode("Gemm", [:], [[2, 3], [3, 2], [3, 3]]),
    HostileNode("Einsum", ["equation": .string("ij,jk->il")], [[2, 3], [3, 2]]),
    HostileNode("Einsum", ["equation": .string("ij,kl->ijkl,")], [[2, 3], [3, 2]]),
    HostileNode("Einsum", ["equation": .string("...")], [[2, 3], [3, 2]]),
    HostileNode("Einsum", ["equation": .string("ij->ij")], [[2, 3, 4]]),
    HostileNode("Reshape", [:], [[2, 3]], [4, 2]),
    HostileNode("Reshape", [:], [[2, 3]], [-1, -1]),
    HostileNode("Reshape", [:], [[2, 3]], [huge, huge]),
    HostileNode("Reshape", [:], [[2, 3]], [0, 0, 0]),
    HostileNode("Squeeze", [:], [[2, 3]], [0]),
    HostileNode("Unsqueeze", [:], [[2, 3]], [7]),
    HostileNode("Unsqueeze", [:], [[2, 3]], [0, 0]),
    HostileNode("Flatten", ["axis": .int(9)], [[2, 3]]),
    HostileNode("Transpose", ["perm": .ints([0, 0])], [[2, 3]]),
    HostileNode("Transpose", ["perm": .ints([0, 2])], [[2, 3]]),
    HostileNode("Expand", [:], [[2, 3]], [4, 3]),
    HostileNode("Expand", [:], [[1, 1]], [1 << 24, 1 << 24]),
    HostileNode("Expand", [:], [[1]], [huge]),
    HostileNode("Tile", [:], [[2, 3]], [huge, 2]),
    HostileNode("Tile", [:], [[2, 3]], [-1, 2]),
    HostileNode("Pad", [:], [[2, 3]], [huge, 0, huge, 0]),
    HostileNode("Pad", [:], [[2, 3]], [-9, 0, 0, 0]),
    HostileNode("Pad", [:], [[2, 3]], [Int64.min, 0, 0, 0]),
    HostileNode("Pad", ["mode": .string("edge")], [[0, 3]], [1, 0, 0, 0]),
    HostileNode("Slice", [:], [[2, 3]], [0], [1], [0], [0]),
    HostileNode("Slice", [:], [[2, 3]], [0, 0], [1], [0]),
    HostileNode("Slice", [:], [[2, 3]], [0], [1], [5]),
    HostileNode("Split", [:], [[2, 3]], [1, 3], outputs: 2),
    HostileNode("Split", [:], [[2, 3]], [huge, huge], outputs: 2),
    HostileNode("Split", [:], [[2, 3]], [-1, 3], outputs: 2),
    HostileNode("Concat", ["axis": .int(0)], [[2, 3], [2, 4]]),
    HostileNode("Concat", ["axis": .int(2)], [[2, 3], [2, 3]]),
    HostileNode("Gather", [:], [[2, 3]], [2]),
    HostileNode("Gather", [:], [[2, 3]], [Int64.min]),
    HostileNode("GatherND", ["batch_dims": .int(-1)], [[2, 3]], [0]),
    HostileNode("GatherND", [:], [[2, 3]], [0, 0, 0]),
    HostileNode("Softmax", ["axis": .int(2)], [[2, 3]]),
    HostileNode("ReduceSum", [:], [[2, 3]], [2]),
    HostileNode("ReduceSum", [:], [[2, 3]], [0, 0]),
    HostileNode("ReduceMean", ["axes": .ints([-3])], [[2, 3]]),
    HostileNode("ArgMax", ["axis": .int(0)], [[0, 3]]),
    HostileNode("TopK", [:], [[2, 3]], [4], outputs: 2),
    HostileNode("Cast", ["to": .int(Int.max)], [[2, 3]]),
    HostileNode("ConstantOfShape", [:], [], [huge]),
    HostileNode("ConstantOfShape", [:], [], [1 << 40]),
    HostileNode("Range", [:], [], [0], [huge], [1]),
    HostileNode("Range", [:], [], [0], [5], [0]),
    HostileNode("OneHot", [:], [[2]], [huge], [0, 1]),
    HostileNode("Resize", [:], [picture, [0], [4]]),
    HostileNode("DepthToSpace", ["blocksize": .int(0)], [picture]),
    HostileNode("DepthToSpace", ["blocksize": .int(Int.max)], [picture]),
    HostileNode("CumSum", [:], [[2, 3]], [2]),
    HostileNode("GRU", ["hidden_size": .int(9)], [[2, 1, 3], [1, 6, 3], [1, 6, 2]]),
    HostileNode("GRU", [:], [[2, 1, 3], [1, 6, 4], [1, 6, 2]]),
    HostileNode("LSTM", ["activations": .strings(["Tanh"])], [[2, 1, 3], [1, 8, 3], [1, 8, 2]]),
  ]
}

@Test(arguments: HostileNode.all)
func aNodeThatMakesNoSenseIsRefused(node: HostileNode) throws {
  #expect(throws: Failure.self) { try node.run() }
}

/// Every operator with too few and too many inputs of wrong ranks and types: a result or a failure, never the end.
@Test(arguments: Operators.all.map { [$0.name, $0.domain] }, [false, true])
func anyInputsAreAnsweredByEveryOperator(operation: [String], isConstant: Bool) throws {
  let types: [[ElementType]] = [[.float32], [.int64], [.bool], [.float32, .int64], [.uint8, .float32, .bool]]
  for (count, rank) in (0...8).flatMap({ count in [0, 1, 2, 3, 4, 5].map { (count, $0) } }) {
    for types in count < 5 ? types : [types[0], types[3]] {
      var graph = Graph()
      graph.opsets[""] = 13 + 5 * (rank % 2)
      var feeds: [(value: ValueID, tensor: Tensor)] = []
      for i in 0..<count {
        let value = graph.addValue("x\(i)")
        let tensor = try Tensor.zeros(types[i % types.count], Shape(checking: [Int](repeating: 2, count: rank)))
        if isConstant { graph.constants[value] = tensor } else { feeds.append((value, tensor)) }
      }
      let results = (0...count % 4).map { graph.addValue("y\($0)") }
      graph.nodes = [
        Node(operation[0], domain: operation[1], inputs: (0..<count).map { ValueID($0) }, outputs: results)
      ]
      let engine = Engine(graph, kernels: try Kernels(.portable), limit: MemoryLimit(bytes: 1 << 24))
      do { _ = try engine.run(feeds, fetch: results, parallel: .serial, progress: .unwatched) } catch is Failure {}
    }
  }
}
