import Dispatch
import Engine
import Graph
import Parallel
import Synchronization
import Tensors
import Testing

@Suite struct ConcurrencyTests {
  /// A small network with a convolution, a pool and a product.
  private func network() throws -> SmallGraph {
    var graph = SmallGraph()
    func numbers(_ count: Int) -> [Float] { (0..<count).map { Float(($0 * 7919) % 101) / 50 - 1 } }
    graph.constant("w", try Tensor(numbers(16 * 3 * 9), [16, 3, 3, 3]))
    graph.constant("m", try Tensor(numbers(16 * 10), [16, 10]))
    graph.node("Conv", ["x", "w"], ["c"], ["pads": .ints([1, 1, 1, 1])])
    graph.node("Relu", ["c"], ["r"])
    graph.node("GlobalAveragePool", ["r"], ["p"])
    graph.node("Flatten", ["p"], ["f"])
    graph.node("MatMul", ["f", "m"], ["y"])
    return graph
  }

  private func image(_ count: Int) throws -> Tensor {
    let shape: Shape = [count, 3, 24, 24]
    return try Tensor((0..<shape.count).map { Float(($0 * 31) % 17) / 8 - 1 }, shape)
  }

  @Test func eightCallersGetTheBitsOfOne() throws {
    let engine = try network().engine()
    let images = try (1...3).map { try image($0) }
    let expected = try images.map { try engine.run(["x": $0], fetch: ["y"])[0].array(of: UInt32.self) }
    let differing = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 8) { caller in
      for round in 0..<12 {
        let k = (caller + round) % 3
        let found = try? engine.run(["x": images[k]], fetch: ["y"], threads: 1 + round % 4)[0]
        if found?.array(of: UInt32.self) != expected[k] { differing.add(1, ordering: .relaxed) }
      }
    }
    #expect(differing.load(ordering: .relaxed) == 0)
  }

  @Test func oneLongPassCanBeStoppedAtEachOfItsSteps() throws {
    let engine = try network().engine()
    let x = try image(2)
    var steps = 0
    _ = try engine.run(["x": x], fetch: ["y"], progress: Progress { _, _ in steps += 1; return true })
    #expect(steps >= 4)
    for last in 0..<steps {
      var asked = 0
      let failure = #expect(throws: Failure.self) {
        try engine.run(["x": x], fetch: ["y"], progress: Progress { _, _ in asked += 1; return asked <= last })
      }
      #expect(failure?.kind == .cancelled)
      #expect(asked == last + 1)
    }
  }
}
