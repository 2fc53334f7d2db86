import Engine
import Graph
import Tensors
import Testing

/// Resize that keeps the aspect ratio. Expected numbers are ONNX Runtime's for an input of 1, 2, 3, ….
struct AspectRatioCase: Sendable, CustomTestStringConvertible {
  let mode: String
  let policy: String
  let input: [Int]
  let sizes: [Int64]
  let result: [Int]
  let values: [Float]

  var testDescription: String { "\(mode), \(input) \(policy) than \(sizes)" }

  static let all = [
    AspectRatioCase(
      mode: "nearest", policy: "not_larger", input: [2, 2], sizes: [4, 6], result: [4, 4],
      values: [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]),
    AspectRatioCase(
      mode: "nearest", policy: "not_smaller", input: [2, 2], sizes: [3, 2], result: [3, 3],
      values: [1, 1, 2, 1, 1, 2, 3, 3, 4]),
    AspectRatioCase(
      mode: "linear", policy: "not_larger", input: [2, 4], sizes: [3, 5], result: [3, 5],
      values: [1, 1.7, 2.5, 3.3, 4, 3.8, 4.5, 5.3, 6.1, 6.8, 5, 5.7, 6.5, 7.3, 8]),
    AspectRatioCase(
      mode: "linear", policy: "not_smaller", input: [2, 2], sizes: [3, 4], result: [4, 4],
      values: [1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4]),
    AspectRatioCase(
      mode: "linear", policy: "not_smaller", input: [2, 4], sizes: [1, 3], result: [2, 3],
      values: [1.833333, 3.166667, 4.5, 5.166667, 6.5, 7.833333]),
    AspectRatioCase(
      mode: "cubic", policy: "not_smaller", input: [3, 3], sizes: [2, 1], result: [2, 2],
      values: [1.765625, 3.3828125, 6.6171875, 8.234375]),
  ]

  static func graph(_ mode: String, _ policy: String, _ sizes: [Int64]) throws -> SmallGraph {
    var graph = SmallGraph(opset: 18)
    try graph.constant("sizes", sizes)
    graph.constant("none", try Tensor([Float](), [0]))
    graph.node(
      "Resize", ["x", "none", "none", "sizes"], ["y"],
      ["mode": .string(mode), "keep_aspect_ratio_policy": .string(policy), "axes": .ints([2, 3])])
    return graph
  }
}

@Test(arguments: AspectRatioCase.all) func resizeKeepsTheAspectRatio(_ c: AspectRatioCase) throws {
  let count = c.input.reduce(1, *)
  let x = try Tensor((1...count).map { Float($0) }, Shape(checking: [1, 1] + c.input))
  let y = try AspectRatioCase.graph(c.mode, c.policy, c.sizes).run(["x": x], fetch: ["y"])[0]
  #expect(y.shape.dimensions == [1, 1] + c.result)
  for (a, b) in zip(y.array(of: Float.self), c.values) { #expect(abs(a - b) < 1e-5, "\(a), expected \(b)") }
}

/// The axis whose size is not asked for grows with the other: it must be bounded as if it were asked for.
@Test(
  .timeLimit(.minutes(10)),
  arguments: ["nearest", "linear"],
  [
    ("not_smaller", [1, 1 << 12], [1 << 24, 1]), ("not_smaller", [1, 2], [.max, 1]),
    ("not_larger", [1, 1], [.max, .max]), ("not_larger", [1, 1], [1 << 24, 1 << 24]), ("not_larger", [2, 2], [-1, 4]),
    ("not_smaller", [0, 4], [4, 4]), ("larger", [2, 2], [4, 4]), ("not_smaller", [2, 2], [4]),
  ] as [(String, [Int], [Int64])])
func absurdSizesAreRefusedWhateverThePolicy(mode: String, c: (policy: String, input: [Int], sizes: [Int64])) throws {
  let graph = try AspectRatioCase.graph(mode, c.policy, c.sizes)
  let x = try Tensor.zeros(.float32, Shape(checking: [1, 1] + c.input))
  let failure = #expect(throws: Failure.self) { try graph.run(["x": x], fetch: ["y"]) }
  #expect(failure?.kind == .invalidModel || failure?.kind == .unsupported)
}

/// A size of 0 on one axis: "not larger" than nothing is nothing.
@Test func resizeToNothingIsEmpty() throws {
  let x = try Tensor([1, 2, 3, 4] as [Float], [1, 1, 2, 2])
  let y = try AspectRatioCase.graph("linear", "not_larger", [0, 4]).run(["x": x], fetch: ["y"])[0]
  #expect(y.shape == [1, 1, 0, 0])
}
