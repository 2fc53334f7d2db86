import Engine
import Graph
import Parallel
import Tensors
import Testing

/// What ONNX Runtime gives for this BatchNormalization in training mode.
@Test(arguments: [1, 3]) func batchNormalizationByTheBatchItself(threads: Int) throws {
  var graph = SmallGraph()
  graph.constant("scale", try Tensor([2, 0.5] as [Float], [2]))
  graph.constant("shift", try Tensor([1, -1] as [Float], [2]))
  graph.constant("mean", try Tensor([0, 4] as [Float], [2]))
  graph.constant("variance", try Tensor([1, 2] as [Float], [2]))
  graph.node(
    "BatchNormalization", ["x", "scale", "shift", "mean", "variance"], ["y", "running mean", "running variance"],
    ["training_mode": .int(1), "momentum": .float(0.75), "epsilon": .float(1e-3)])
  let x = try Tensor([1, 2, 4, -3, 0, 5, 3, 3, -1, 8, 2, -6] as [Float], [2, 2, 3])
  let found = try graph.engine().run(
    ["x": x], fetch: ["y", "running mean", "running variance"], threads: threads)
  let expected: [[Float]] = [
    [
      -0.2245153, 1, 3.4490306, -1.4263917, -1.1065979, -0.5736082, 2.2245152, 2.2245152, -2.6735458, -0.2538144,
      -0.893402, -1.7461855,
    ],
    [0.5, 3.25], [1.4166667, 7],
  ]
  for (found, expected) in zip(found, expected) {
    for (a, b) in zip(found.array(of: Float.self), expected) { #expect(abs(a - b) <= 1e-6 * max(1, abs(b))) }
  }
}

/// A convolution may not take over a normalisation whose statistics are those of its result.
@Test func batchStatisticsStayBehindAConvolution() throws {
  var graph = SmallGraph()
  for name in ["one", "variance"] { graph.constant(name, try Tensor([1] as [Float], [1])) }
  for name in ["zero", "mean"] { graph.constant(name, try Tensor([0] as [Float], [1])) }
  graph.constant("weight", try Tensor([3] as [Float], [1, 1, 1, 1]))
  graph.node("Conv", ["x", "weight"], ["convolved"])
  graph.node(
    "BatchNormalization", ["convolved", "one", "zero", "mean", "variance"], ["y"],
    ["training_mode": .int(1), "epsilon": .float(0)])
  let x = try Tensor([1, 2, 3, 4, 5, 6, 7, 9] as [Float], [1, 1, 2, 4])
  let y = try #require(try graph.run(["x": x], fetch: ["y"]).first).array(of: Float.self)
  #expect(abs(y.reduce(0, +)) < 1e-5)
  #expect(abs(y.reduce(0) { $0 + $1 * $1 } - 8) < 1e-5)
}
