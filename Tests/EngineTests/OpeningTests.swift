import Engine
import Graph
import Kernels
import Parallel
import Tensors
import Testing

/// Plans that begin image by image: the bits of each image alone, less memory, on any number of threads.
@Suite struct OpeningTests {
  private static let images = 6
  /// With their results, more bytes than stay in the caches.
  private static let shape = [images, 4, 256, 256]

  private static func graph() throws -> SmallGraph {
    var graph = SmallGraph()
    let weights: [Float] = (0..<144).map { (i: Int) -> Float in Float(i * 7 % 11) / 11 - 0.4 }
    graph.constant("w", try Tensor(weights, [4, 4, 3, 3]))
    graph.node("Conv", ["x", "w"], ["a"], ["pads": .ints([1, 1, 1, 1])])
    graph.node("Relu", ["a"], ["b"])
    graph.node("Conv", ["b", "w"], ["c"], ["pads": .ints([1, 1, 1, 1])])
    graph.node("GlobalAveragePool", ["c"], ["y"])
    return graph
  }

  private static func input() throws -> Tensor {
    let count = shape.reduce(1, *)
    let numbers: [Float] = (0..<count).map { (i: Int) -> Float in Float(i * 31 % 101) / 101 - 0.5 }
    return try Tensor(numbers, Shape(checking: shape))
  }

  private static func image(_ i: Int, of x: Tensor) throws -> Tensor {
    let size = x.byteCount / images
    return try Tensor(.float32, [1, 4, 256, 256], storage: x.storage, byteOffset: i * size)
  }

  @Test(arguments: [1, 2, 3, 4]) func everyImageHasTheBitsThatItHasAlone(threads: Int) throws {
    let x = try Self.input()
    let engine = try Self.graph().engine(limit: 1 << 30)
    let y = try engine.run(["x": x], fetch: ["y"], threads: threads)[0].array(of: Float.self)
    for i in 0..<Self.images {
      let alone = try engine.run(["x": Self.image(i, of: x)], fetch: ["y"], threads: 1)[0].array(of: Float.self)
      #expect(Array(y[4 * i..<4 * i + 4]) == alone)
    }
  }

  @Test func memoryIsThatOfOneImageForEachThread() throws {
    let engine = try Self.graph().engine(limit: 1 << 30)
    let (x, y) = (try #require(engine.graph.value(named: "x")), try #require(engine.graph.value(named: "y")))
    func bytes(_ images: Int, threads: Int) throws -> Int {
      let shape = try Shape(checking: [images] + Self.shape.dropFirst())
      return try engine.plan(
        feeds: [(value: x, type: .float32, shape: shape)], fetches: [y], parallel: Parallel(threads: threads)
      ).byteCount
    }
    let one = try bytes(1, threads: 1)
    #expect(try bytes(Self.images, threads: 1) < one + one / 4)
    #expect(try bytes(Self.images, threads: 2) < 2 * one + one / 2)
    // With fewer images than threads all of them run at once.
    #expect(try bytes(Self.images, threads: 8) > 4 * one)
  }

  @Test(arguments: [1, 2]) func everyStepOfEveryImageCounts(threads: Int) throws {
    var reports: [UInt64] = []
    let progress = Progress { done, total in
      reports.append(done)
      return done <= total
    }
    let engine = try Self.graph().engine(limit: 1 << 30)
    _ = try engine.run(["x": Self.input()], fetch: ["y"], threads: threads, progress: progress)
    #expect(reports == reports.sorted())
    #expect(reports.last == 100_000)
    #expect(threads > 1 || reports.count > 2 * Self.images)
  }
}
