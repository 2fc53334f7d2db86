import Engine
import Graph
import Tensors
import Testing

/// If and Loop whose bodies read values of the graphs around them. Expected numbers are ONNX Runtime's.
@Suite(.timeLimit(.minutes(10))) struct ControlFlowTests {
  private let image: [Float] = [-3, -2, -1, 0, 1, 2, 3, 4]

  /// An outer graph with an image "x", a 1×1 convolution of it "c" and a condition "true" that is.
  private func convolution() throws -> SmallGraph {
    var graph = SmallGraph()
    graph.constant("w", try Tensor([1, -1, 2, 0.5] as [Float], [2, 2, 1, 1]))
    graph.constant("true", try Tensor([UInt8(1)], .bool, .scalar))
    graph.node("Conv", ["x", "w"], ["c"])
    return graph
  }

  private func run(_ graph: SmallGraph, fetch: [String]) throws -> [[Float]] {
    try graph.run(["x": Tensor(image, [1, 2, 2, 2])], fetch: fetch).map { $0.array(of: Float.self) }
  }

  @Test func aConvolutionThatANestedBranchReadsIsNotFused() throws {
    var graph = try convolution()
    graph.node("Relu", ["c"], ["r"])
    try graph.branch("true", result: "y") { middle in
      try middle.branch("true", result: "m", reading: ["c", "r"]) { $0.node("Add", ["c", "r"], ["s"]) }
    }
    #expect(try run(graph, fetch: ["y"]) == [[-4, -4, -4, -4, -5.5, -3, -0.5, 4]])
  }

  @Test func aConvolutionThatABranchReadsStaysBeforeItsBatchNormalisation() throws {
    var graph = try convolution()
    let statistics: [Float] = [2, 1, 0, 1, 1, -1, 1 - 1e-5, 4 - 1e-5]
    for (i, name) in ["scale", "shift", "mean", "variance"].enumerated() {
      graph.constant(name, try Tensor(Array(statistics[2 * i..<2 * i + 2]), [2]))
    }
    graph.node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"])
    try graph.branch("true", result: "y") { $0.node("Neg", ["c"], ["s"]) }
    let found = try run(graph, fetch: ["n", "y"])
    for (a, b) in zip(found[0], [-10, -10, -10, -10, -1.25, 0, 1.25, 2.5] as [Float]) { #expect(abs(a - b) < 1e-5) }
    #expect(found[1] == [4, 4, 4, 4, 5.5, 3, 0.5, -2])
  }

  /// "a" is read by the innermost of three bodies only, after steps that would gladly write over it.
  @Test func whatOnlyAnInnermostBodyReadsIsKeptUntilThen() throws {
    var graph = SmallGraph()
    graph.constant("true", try Tensor([UInt8(1)], .bool, .scalar))
    graph.constant("trips", try Tensor([Int64(3)], .scalar))
    graph.node("Neg", ["x"], ["a"])
    graph.node("Abs", ["a"], ["b"])
    graph.node("Sqrt", ["b"], ["d"])
    graph.node("Mul", ["d", "d"], ["e"])
    try graph.loop(["trips", "true", "e"], carried: "v", results: ["y"]) { body in
      try body.branch("go", result: "r", reading: ["v", "a"]) { middle in
        try middle.branch("go", result: "q", reading: ["v", "a"]) { inner in
          inner.node("Add", ["v", "a"], ["p"])
        }
      }
    }
    // |x| - 3x
    let expected = image.map { abs($0) - 3 * $0 }
    for (a, b) in zip(try run(graph, fetch: ["y"])[0], expected) { #expect(abs(a - b) < 1e-5) }
    #expect(try run(graph, fetch: ["y", "a"])[1] == image.map { -$0 })
  }

  @Test func aBranchWithinALoopReadsTheNumberOfTheTurn() throws {
    var graph = SmallGraph()
    graph.constant("true", try Tensor([UInt8(1)], .bool, .scalar))
    graph.constant("trips", try Tensor([Int64(4)], .scalar))
    try graph.loop(["trips", "true", "x"], carried: "v", results: ["y"]) { body in
      try body.branch("go", result: "r", reading: ["v", "turn"]) { inner in
        inner.node("Cast", ["turn"], ["number"], ["to": .int(1)])
        inner.node("Add", ["v", "number"], ["sum"])
      }
    }
    #expect(try run(graph, fetch: ["y"]) == [image.map { $0 + 6 }])
  }

  /// Two bodies that give their values the same names, which are also those of the graph around them.
  @Test func bodiesDoNotSeeTheNamesOfOthers() throws {
    var graph = SmallGraph()
    graph.constant("true", try Tensor([UInt8(1)], .bool, .scalar))
    for (result, operation) in [("y", "Neg"), ("z", "Abs")] {
      try graph.branch("true", result: result, reading: ["x", "true"]) { middle in
        middle.node(operation, ["x"], ["own"])
        try middle.branch("true", result: "r", reading: ["own", "x"]) { $0.node("Sub", ["own", "x"], ["s"]) }
      }
    }
    let found = try run(graph, fetch: ["y", "z"])
    #expect(found == [image.map { -2 * $0 }, image.map { abs($0) - $0 }])
  }

  @Test func aBranchThatIsNotTakenCountsForEachTurnOfItsLoop() throws {
    var graph = SmallGraph()
    graph.constant("true", try Tensor([UInt8(1)], .bool, .scalar))
    graph.constant("trips", try Tensor([Int64.max], .scalar))
    try graph.loop(["trips", "true", "x"], carried: "v", results: ["y"]) { body in
      var then = SmallGraph()
      then.graph.outputs = [Declaration(value: then.value("v"), type: .float32, dimensions: nil)]
      var otherwise = then
      for i in 0..<20_000 { otherwise.node("Relu", ["v"], ["r\(i)"]) }
      body.node(
        "If", ["go"], ["r"], ["then_branch": .graph(then.graph), "else_branch": .graph(otherwise.graph)])
    }
    let failure = #expect(throws: Failure.self) { try run(graph, fetch: ["y"]) }
    #expect(failure?.message.contains("nodes, operands and values") == true)
  }

  @Test func longNamesCountForEachTurnOfTheirLoop() throws {
    var graph = SmallGraph()
    graph.constant("true", try Tensor([UInt8(1)], .bool, .scalar))
    graph.constant("trips", try Tensor([Int64.max], .scalar))
    let name = String(repeating: "n", count: 1 << 20)
    try graph.loop(["trips", "true", "x"], carried: "v", results: ["y"]) { $0.node("Neg", ["v"], [name]) }
    let failure = #expect(throws: Failure.self) { try run(graph, fetch: ["y"]) }
    #expect(failure?.message.contains("nodes, operands and values") == true)
  }
}

extension SmallGraph {
  /// An If on the constant `condition`, both of whose branches are what `body` writes; their result is its last node's.
  fileprivate mutating func branch(
    _ condition: String, result: String, reading captured: [String] = [], _ body: (inout SmallGraph) throws -> Void
  ) throws {
    var inner = SmallGraph()
    // As the loader leaves them: the values of graphs around are values of every graph in between.
    for name in captured + [condition] { _ = inner.value(name) }
    try body(&inner)
    let last = inner.graph.nodes.last?.outputs[0] ?? inner.value(condition)
    inner.graph.outputs = [Declaration(value: last, type: .float32, dimensions: nil)]
    for name in captured { _ = value(name) }
    node(
      "If", [condition], [result], ["then_branch": .graph(inner.graph), "else_branch": .graph(inner.graph)])
  }

  /// A Loop of one carried value; what the last node of its body gives goes on. The body's condition is "go".
  fileprivate mutating func loop(
    _ inputs: [String], carried: String, results: [String], _ body: (inout SmallGraph) throws -> Void
  ) throws {
    var inner = SmallGraph()
    inner.graph.inputs = [("turn", ElementType.int64), ("go", .bool), (carried, .float32)].map { name, type in
      Declaration(value: inner.value(name), type: type, dimensions: nil)
    }
    try body(&inner)
    let last = inner.graph.nodes.last?.outputs[0] ?? inner.value(carried)
    inner.graph.outputs = [
      Declaration(value: inner.value("go"), type: .bool, dimensions: nil),
      Declaration(value: last, type: .float32, dimensions: nil),
    ]
    node("Loop", inputs, results, ["body": .graph(inner.graph)])
  }
}
