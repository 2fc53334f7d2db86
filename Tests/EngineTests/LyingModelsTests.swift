import Engine
import Glibc
import Graph
import Tensors
import Testing

/// Nodes whose attributes and shapes once made the engine overflow, ask for all memory, read beyond an operand, or
/// compute for hours. They must fail, with a message.
struct Lie: Sendable, CustomStringConvertible {
  let description: String
  let build: @Sendable (inout SmallGraph) throws -> Void

  init(_ description: String, _ build: @escaping @Sendable (inout SmallGraph) throws -> Void) {
    self.description = description
    self.build = build
  }

  /// One node of constants, all float32 unless they are lists of numbers.
  init(
    _ operation: String, _ shapes: [Shape], _ lists: [[Int64]] = [], _ attributes: [String: Attribute] = [:],
    with what: String
  ) {
    self.init("\(operation) with \(what)") { graph in
      for (i, shape) in shapes.enumerated() { graph.constant("x\(i)", try .zeros(.float32, shape)) }
      for (i, list) in lists.enumerated() { try graph.constant("n\(i)", list) }
      graph.node(
        operation, shapes.indices.map { "x\($0)" } + lists.indices.map { "n\($0)" }, ["y"], attributes)
    }
  }
}

/// A normalisation as exporters write it, of which one node has one input alone.
private func cutNormalization(_ cut: String, root: String = "Sqrt") -> Lie {
  Lie("a normalisation whose \(cut) has one input") { graph in
    func node(_ operation: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]) {
      graph.node(operation, operation == cut ? [inputs[0]] : inputs, [output], attributes)
    }
    graph.constant("x", try .zeros(.float32, [2, 3]))
    for (name, number) in [("epsilon", Float(1e-5)), ("half", 0.5)] { graph.constant(name, try Tensor([number], [1])) }
    node("ReduceMean", ["x"], "mean", ["axes": .ints([-1])])
    node("Sub", ["x", "mean"], "difference")
    node("Mul", ["difference", "difference"], "square")
    node("ReduceMean", ["square"], "variance", ["axes": .ints([-1])])
    node("Add", ["variance", "epsilon"], "sum")
    node(root, root == "Pow" ? ["sum", "half"] : ["sum"], "root")
    node("Div", ["difference", "root"], "y")
  }
}

private let lies: [Lie] = [
  cutNormalization("Add"), cutNormalization("Sub"), cutNormalization("Mul"), cutNormalization("Div"),
  cutNormalization("Pow", root: "Pow"),
  Lie("Pad", [[2, 2]], [[.min, 0, 0, 0]], with: "a pad whose magnitude overflows"),
  Lie("Pad", [[2, 2]], [[.max, .max, 0, 0]], with: "pads whose sum overflows"),
  Lie(
    "ConvTranspose", [[1, 1, 2, 2], [1, 1, 2, 2]], [], ["output_shape": .ints([.min, 1])],
    with: "a negative output"),
  Lie("DepthToSpace", [Shape(trusted: [1, 0, 1 << 32, 1])], [], ["blocksize": .int(1 << 16)], with: "a huge block"),
  Lie("SpaceToDepth", [Shape(trusted: [1, 1 << 32, 0, 1])], [], ["blocksize": .int(1 << 16)], with: "a huge block"),
  Lie(
    "LSTM", [Shape(trusted: [0, 1 << 32, 1]), [1, 4, 1], Shape(trusted: [0, 1, 1 << 32])],
    with: "states whose size overflows"),
  Lie("Einsum", [Shape](repeating: [1], count: 100), [], ["equation": .string("a")], with: "a hundred operands"),
  Lie(
    "Attention", [Shape](repeating: [1, 1, 2, 4], count: 3), [], ["qk_matmul_output_mode": .int(4)],
    with: "scores of a stage that does not exist"),
  Lie("Resize of a region that is no number") { graph in
    graph.constant("x", try .zeros(.float32, [1, 1, 4, 4]))
    graph.constant("roi", try Tensor([0, 0, Float.nan, 0, 1, 1, 1, 1], [8]))
    graph.constant("none", try Tensor([Float](), [0]))
    try graph.constant("sizes", [1, 1, 2, 2])
    graph.node(
      "Resize", ["x", "roi", "none", "sizes"], ["y"],
      ["coordinate_transformation_mode": .string("tf_crop_and_resize"), "mode": .string("linear")])
  },
  Lie("Resize of a region of negative size") { graph in
    graph.constant("x", try .zeros(.float32, [1, 1, 4, 4]))
    graph.constant("roi", try Tensor([0, 0, 0, 0, 1, 1, -3e38, 1], [8]))
    graph.constant("scales", try Tensor([1, 1, 2, 2] as [Float], [4]))
    graph.node(
      "Resize", ["x", "roi", "scales"], ["y"], ["coordinate_transformation_mode": .string("tf_crop_and_resize")])
  },
  Lie("Resize to filters that need gigabytes") { graph in
    graph.constant("x", try .zeros(.float32, [1, 1, 1, 1]))
    graph.constant("none", try Tensor([Float](), [0]))
    try graph.constant("sizes", [1, 1, 1, 1 << 23])
    graph.node("Resize", ["x", "none", "none", "sizes"], ["y"], ["mode": .string("linear")])
  },
  Lie("Upsample", [[1, 1, 2, 2]], [[1, 1, 2, 2]], with: "scales that are whole numbers"),
  Lie("Concat of extents whose sum overflows") { graph in
    graph.constant("x", try .zeros(.float32, Shape(trusted: [0, 1 << 32])))
    graph.node("Concat", [String](repeating: "x", count: 1000), ["y"], ["axis": .int(1)])
  },
  Lie("Split of an axis into too many indices") { graph in
    graph.constant("x", try .zeros(.float32, Shape(trusted: [0, 1 << 32])))
    graph.node("Split", ["x"], ["y", "z"], ["axis": .int(1)])
  },
  Lie("Slice of too many indices") { graph in
    graph.constant("x", try .zeros(.float32, Shape(trusted: [0, 1 << 32])))
    for (name, number) in [("starts", 1), ("ends", Int64.max), ("axes", 1)] { try graph.constant(name, [number]) }
    graph.node("Slice", ["x", "starts", "ends", "axes"], ["y"])
  },
  Lie("If without a condition") { graph in
    graph.constant("x", try .zeros(.int64, [1]))
    graph = try graph.asBranch(resulting: "x")
    graph.graph.nodes[0].inputs = []
  },
  Lie("Loop without an end") { graph in
    var body = SmallGraph()
    body.graph.inputs = [("i", ElementType.int64), ("c", .bool)].map { name, type in
      Declaration(value: body.value(name), type: type, dimensions: nil)
    }
    body.graph.outputs = [Declaration(value: body.value("c"), type: .bool, dimensions: nil)]
    graph.constant("trips", try Tensor([Int64.max], .scalar))
    graph.node("Loop", ["trips"], [], ["body": .graph(body.graph)])
    // Only the bodies of If and Loop may hold nodes without results.
    graph = try graph.asBranch(resulting: "trips")
  },
]

@Test(arguments: lies) func liesInModelsAreErrors(lie: Lie) throws {
  var graph = SmallGraph()
  try lie.build(&graph)
  let failure = #expect(throws: Failure.self, "\(lie)") { try graph.run(fetch: ["y"]) }
  #expect(failure?.kind == .invalidModel || failure?.kind == .unsupported)
}

extension SmallGraph {
  /// A graph whose value "y" is `name` as an `If` gives it that holds this graph.
  fileprivate func asBranch(resulting name: String) throws -> SmallGraph {
    var body = self
    body.graph.outputs = [Declaration(value: body.value(name), type: .int64, dimensions: nil)]
    var outer = SmallGraph()
    outer.constant("condition", try Tensor([UInt8(1)], .bool, .scalar))
    outer.node(
      "If", ["condition"], ["y"], ["then_branch": .graph(body.graph), "else_branch": .graph(body.graph)])
    return outer
  }
}

/// What takes no time though its geometry is huge. The limit is for what does not end; what takes time is told by what the
/// thread has computed, which leaves room for sanitizers and is little for a loop of 2^32 turns.
@Suite(.timeLimit(.minutes(10))) struct HugeGeometry {
  private func atOnce<R>(_ body: () throws -> R) rethrows -> R {
    var start = timespec(), end = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start)
    defer {
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
      #expect(end.tv_sec - start.tv_sec < 10)
    }
    return try body()
  }

  @Test func aWindowFarLargerThanItsInputCostsWhatTheInputCosts() throws {
    var graph = SmallGraph()
    let side = (1 << 20) - 1
    graph.constant("x", try Tensor([1, 2, 3, 4] as [Float], [1, 1, 2, 2]))
    let window: [String: Attribute] = [
      "kernel_shape": .ints([side, side]), "pads": .ints([side - 1, side - 1, 0, 0]),
    ]
    for (operation, key) in [("MaxPool", "max"), ("AveragePool", "mean"), ("LpPool", "norm")] {
      graph.node(operation, ["x"], [key], window)
    }
    let results = try atOnce { try graph.run(fetch: ["max", "mean", "norm"]) }
    #expect(results[0].array(of: Float.self) == [1, 2, 3, 4])
    #expect(results[1].array(of: Float.self) == [1, 1.5, 2, 2.5])
    let squares: [Float] = [1, 5, 10, 30]
    for (norm, square) in zip(results[2].array(of: Float.self), squares) { #expect(abs(norm * norm - square) < 1e-4) }
  }

  /// Four axes: the places of one window, padding included, are more than 64 bits can count.
  @Test func aWindowOverManyAxesMayBeLargerThanNumbers() throws {
    var graph = SmallGraph()
    let side = (1 << 20) - 1
    graph.constant("x", try Tensor((1...16).map { Float($0) }, [1, 1, 2, 2, 2, 2]))
    let window: [String: Attribute] = [
      "kernel_shape": .ints([side, side, side, side]),
      "pads": .ints([side - 1, side - 1, side - 1, side - 1, 0, 0, 0, 0]),
    ]
    graph.node("MaxPool", ["x"], ["max"], window)
    graph.node("AveragePool", ["x"], ["mean"], window)
    graph.node("AveragePool", ["x"], ["padded"], window.merging(["count_include_pad": .int(1)]) { $1 })
    let results = try atOnce { try graph.run(fetch: ["max", "mean", "padded"]) }.map { $0.array(of: Float.self) }
    #expect(results[0] == (1...16).map { Float($0) })
    #expect(results[1] == (0..<16).map { 1 + Float($0) / 2 })
    #expect(results[2].allSatisfy { $0 > 0 && $0 < 1e-20 })
  }

  @Test func anEmptyResultTakesNoTime() throws {
    var graph = SmallGraph()
    graph.constant("x", try .zeros(.float32, Shape(trusted: [1 << 32, 0])))
    graph.constant("axis", try Tensor([Int64(1)], .scalar))
    graph.node("CumSum", ["x", "axis"], ["sum"])
    graph.node("Trilu", ["x"], ["triangle"])
    #expect(try atOnce { try graph.run(fetch: ["sum", "triangle"]) }.map(\.shape.count) == [0, 0])
  }

  @Test func aSumOfNothingTakesNoTime() throws {
    var graph = SmallGraph()
    graph.constant("x", try .zeros(.float32, Shape(trusted: [1 << 31, 2, 0])))
    graph.node("Einsum", ["x"], ["y"], ["equation": .string("abc->b")])
    graph.node("Einsum", ["x", "x"], ["z"], ["equation": .string("abc,dbc->b")])
    let results = try atOnce { try graph.run(fetch: ["y", "z"]) }
    #expect(results.map { $0.array(of: Float.self) } == [[0, 0], [0, 0]])
  }

  @Test func packingNothingTakesNoTime() throws {
    var graph = SmallGraph()
    graph.constant("x", try .zeros(.float32, Shape(trusted: [0, 1 << 32, 1, 1])))
    graph.constant("none", try .zeros(.float32, [0, 1, 1, 1]))
    graph.node("Conv", ["x", "none"], ["y"], ["group": .int(1 << 32)])
    graph.constant("of none", try .zeros(.float32, Shape(trusted: [1 << 32, 0, 1, 1])))
    graph.node("ConvTranspose", ["x", "of none"], ["z"], ["group": .int(1 << 32)])
    #expect(try atOnce { try graph.run(fetch: ["y", "z"]) }.map(\.shape) == [[0, 0, 1, 1], [0, 0, 1, 1]])
  }

  @Test func aGraphOfTooManyStepsIsRefused() throws {
    var graph = SmallGraph()
    for i in 0..<40_000 { graph.node("Softmax", ["v\(i)"], ["v\(i + 1)"]) }
    let failure = #expect(throws: Failure.self) {
      try graph.run(["v0": try .zeros(.float32, [1, 2])], fetch: ["v40000"])
    }
    #expect(failure?.kind == .unsupported)
  }
}
