import Engine
import Graph
import Parallel
import Tensors
import Testing

@Suite struct MemoryTests {
  /// Two values of 16 MiB live at once where `x` is 16 MiB.
  private func pair() -> SmallGraph {
    var graph = SmallGraph()
    graph.node("Softmax", ["x"], ["a"])
    graph.node("Softmax", ["a"], ["b"])
    graph.node("Add", ["a", "b"], ["y"])
    return graph
  }

  @Test func theLimitIsCheckedBeforeMemoryIsTaken() throws {
    let x = try Tensor.zeros(.float32, [1, 4 << 20])
    // 32 MiB of working memory and, whatever their type may be, 32 MiB for the results.
    #expect(try pair().run(["x": x], fetch: ["y"], limit: 65 << 20)[0].shape == x.shape)
    let engine = try pair().engine(limit: 63 << 20)
    let failure = #expect(throws: Failure.self) { try engine.run(["x": x], fetch: ["y"]) }
    #expect(failure?.kind == .unsupported)
    #expect(failure?.message.contains("memory limit is 63 MiB") == true)
    #expect(engine.kept.working == 0)
  }

  @Test(arguments: [
    (needed: 2, limit: 1, words: "it needs 2 bytes; the memory limit is 1 byte"),
    (1025, 1024, "it needs 1.1 KiB; the memory limit is 1 KiB"),
    (64 << 20 | 1, 64 << 20, "it needs 64.1 MiB; the memory limit is 64 MiB"),
    (3 << 20, 1023, "it needs 3 MiB; the memory limit is 1023 bytes"),
    (5 << 40, 1 << 30 | 1 << 19, "it needs 5242880 MiB; the memory limit is 1024.5 MiB"),
  ])
  func theLimitIsSaidInTheUnitOfItsSize(needed: Int, limit: UInt64, words: String) {
    let failure = #expect(throws: Failure.self) { try MemoryLimit(bytes: limit).check(needed, for: "it") }
    #expect(failure?.message == words)
  }

  @Test func aDeclaredInputBeyondTheLimitIsRefusedWhileTheModelIsPlanned() throws {
    let engine = try pair().engine()
    let x = try #require(engine.graph.value(named: "x"))
    let y = try #require(engine.graph.value(named: "y"))
    #expect(throws: Failure.self) {
      try engine.plan(
        feeds: [(value: x, type: .float32, shape: Shape(trusted: [1, 1 << 40]))], fetches: [y], parallel: .serial)
    }
  }

  /// 4 TiB, as a part of the plan and as a step of the run; a limit of 0 is the memory that the machine has.
  @Test(.timeLimit(.minutes(10)), arguments: [64 << 20, 0] as [UInt64], [true, false])
  func aTerabyteIsRefusedBeforeItIsAskedFor(limit: UInt64, isFolded: Bool) throws {
    var graph = SmallGraph()
    try graph.constant("shape", [1 << 20, 1 << 20])
    graph.node("ConstantOfShape", ["shape"], ["filled"])
    graph.node("Neg", ["filled"], ["negative"])
    graph.node("Expand", ["x", "shape"], ["expanded"])
    let one = try Tensor([Float(1)], [1])
    if isFolded { graph.constant("x", one) }
    for fetch in ["filled", "negative", "expanded"] {
      let engine = try graph.engine(limit: limit)
      let failure = #expect(throws: Failure.self, "\(fetch)") {
        try engine.run(isFolded ? [:] : ["x": one], fetch: [fetch])
      }
      #expect(failure?.kind == .unsupported)
      #expect(failure?.message.contains("the memory limit is") == true, "\(failure?.message ?? "")")
      #expect(engine.kept.working == 0)
    }
  }

  @Test func whatIsFoldedCountsTogether() throws {
    var graph = SmallGraph()
    try graph.constant("shape", [1 << 20])
    // Each is 4 MiB; all of them live while the plan is made.
    for i in 0..<32 {
      graph.node(
        "ConstantOfShape", ["shape"], ["v\(i)"], ["value": .tensor(try Tensor([Float(i)], [1]))])
    }
    graph.node("Sum", (0..<32).map { "v\($0)" }, ["y"])
    #expect(throws: Failure.self) { try graph.run(fetch: ["y"], limit: 64 << 20) }
    let sum = try graph.run(fetch: ["y"], limit: 256 << 20)[0]
    #expect(sum.array(of: Float.self)[0] == 496)
  }

  @Test func packedWeightsCountBeforeTheyArePacked() throws {
    var graph = SmallGraph()
    // A matrix of one column is padded to a whole panel.
    graph.constant("w", try .zeros(.float32, [1 << 20, 1]))
    graph.node("MatMul", ["x", "w"], ["y"])
    let engine = try graph.engine(limit: 12 << 20)
    let failure = #expect(throws: Failure.self) {
      try engine.run(["x": .zeros(.float32, [1, 1 << 20])], fetch: ["y"])
    }
    #expect(failure?.message.contains("packed weights") == true)
    #expect(engine.kept.packed == 0)
  }

  @Test func manyShapesKeepTheMemoryOfTheLargest() throws {
    let engine = try pair().engine()
    for rows in 1...24 {
      _ = try engine.run(["x": .zeros(.float32, [rows, 1 << 14])], fetch: ["y"])
    }
    #expect(engine.kept.working <= 24 * 2 * (4 << 14))
  }

  @Test func packedFormsOfFoldedWeightsGoWithTheirPlans() throws {
    var graph = SmallGraph()
    graph.constant("w", try .zeros(.float32, [256, 256]))
    graph.node("Neg", ["w"], ["folded"])
    graph.node("MatMul", ["x", "folded"], ["z"])
    graph.node("MatMul", ["z", "w"], ["y"])
    let engine = try graph.engine()
    for rows in 1...50 { _ = try engine.run(["x": .zeros(.float32, [rows, 256])], fetch: ["y"]) }
    // Eight plans are kept, each with its own folded matrix; the model's own is packed once.
    #expect(engine.kept.packed <= 9 * 256 * 256 * 4)
    #expect(engine.kept.packed >= 2 * 256 * 256 * 4)
  }
}
