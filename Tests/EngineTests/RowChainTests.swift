import Engine
import Glibc
import Graph
import Kernels
import Operators
import Parallel
import Tensors
import Testing

/// A 1×1 convolution, one for each channel, and a 1×1 convolution, over maps that are larger than a core's cache.
struct RowsBlock: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var images = 1
  /// Of the input.
  var extents = [199, 151]
  var channels = 8
  var wide = 48
  var kernel = [3, 3]
  var strides = [1, 1]
  /// Top, left, bottom, right.
  var pads = [1, 1, 1, 1]
  var dilations = [1, 1]
  var groups = 48
  var hasResidual = false
  /// Steps that one thread runs of it.
  var steps = 1

  static let all = [
    RowsBlock(testDescription: "3×3"),
    RowsBlock(testDescription: "with what is added to it", hasResidual: true),
    RowsBlock(testDescription: "of stride 2", strides: [2, 2]),
    RowsBlock(testDescription: "5×5", kernel: [5, 5], pads: [2, 2, 2, 2], hasResidual: true),
    RowsBlock(
      testDescription: "5×5 of stride 2, padded at the end", kernel: [5, 5], strides: [2, 2], pads: [1, 1, 2, 2]),
    RowsBlock(testDescription: "7×3 of stride 3 and 1", kernel: [7, 3], strides: [3, 1], pads: [3, 1, 3, 1]),
    RowsBlock(testDescription: "dilated", pads: [4, 1, 4, 1], dilations: [4, 1]),
    RowsBlock(
      testDescription: "strides beyond the kernel", kernel: [2, 2], strides: [5, 2], pads: [0, 0, 0, 0], steps: 2),
    RowsBlock(testDescription: "rows that padding alone would give", pads: [0, 1, 0, 1]),
    RowsBlock(testDescription: "rows of padding", pads: [4, 1, 4, 1], steps: 3),
    RowsBlock(testDescription: "3×3 in 8 groups of channels", groups: 8),
    RowsBlock(testDescription: "columns", extents: [12_700, 1]),
    RowsBlock(testDescription: "one row", extents: [1, 12_700], steps: 3),
    RowsBlock(testDescription: "small maps", extents: [14, 14], steps: 3),
    RowsBlock(testDescription: "several images", images: 3, extents: [80, 64], steps: 3),
  ]

  func graph() throws -> SmallGraph {
    var graph = SmallGraph()
    func numbers(_ shape: [Int], _ seed: Int) throws -> Tensor {
      try Tensor(
        (0..<shape.reduce(1, *)).map { (i: Int) -> Float in Float((i + 31 * seed) * 37 % 211) / 105 - 1 },
        Shape(checking: shape))
    }
    graph.feed("x", try numbers([images, channels] + extents, 0))
    graph.constant("w0", try numbers([wide, channels, 1, 1], 1))
    graph.constant("w1", try numbers([wide, wide / groups] + kernel, 2))
    graph.constant("b1", try numbers([wide], 3))
    graph.constant("w2", try numbers([channels, wide, 1, 1], 4))
    graph.node("Conv", ["x", "w0"], ["expanded"])
    graph.node("Relu", ["expanded"], ["a"])
    graph.node(
      "Conv", ["a", "w1", "b1"], ["b"],
      ["group": .int(groups), "strides": .ints(strides), "pads": .ints(pads), "dilations": .ints(dilations)])
    graph.node("HardSwish", ["b"], ["c"])
    graph.node("Conv", ["c", "w2"], [hasResidual ? "d" : "y"])
    if hasResidual { graph.node("Add", ["d", "x"], ["y"]) }
    return graph
  }
}

@Suite struct RowChainTests {
  private static func convolutions(_ graph: SmallGraph, fetch: [String], threads: Int) throws -> Int {
    let profile = Profile()
    _ = try Engine(graph.graph, kernels: Kernels.selected(), limit: MemoryLimit(bytes: 1 << 30)).run(
      graph.feeds, fetch: fetch.map { graph.graph.value(named: $0)! }, parallel: Parallel(threads: threads),
      progress: .profiling(profile))
    return profile.steps.count { $0.operation == "Conv" }
  }

  /// Values that are asked for are there, and then steps are apart.
  @Test(arguments: RowsBlock.all, 1...3)
  func bitsOfWholeMaps(block: RowsBlock, threads: Int) throws {
    let graph = try block.graph()
    let selected = try Kernels.selected()
    for kernels in try [selected, selected.within(.bfloat16), Kernels(.portable), Kernels(.openblas)] {
      let chained = try graph.run(fetch: ["y"], kernels, threads: threads)[0].array(of: Float.self)
      let whole = try graph.run(fetch: ["y", "a", "c"], kernels)[0].array(of: Float.self)
      #expect(chained == whole, "\(kernels.variant)")
      #expect(chained.contains { $0 != 0 })
    }
    #expect(try Self.convolutions(graph, fetch: ["y", "a", "c"], threads: threads) == 3)
    if block.images == 1, sysconf(Int32(_SC_LEVEL2_CACHE_SIZE)) <= 1 << 20 {
      #expect(try Self.convolutions(graph, fetch: ["y"], threads: threads) == block.steps)
    }
  }

  @Test func whatOthersReadToo() throws {
    var graph = try RowsBlock.all[0].graph()
    graph.node("GlobalMaxPool", ["a"], ["other"])
    let both = try graph.run(fetch: ["y", "other"], Kernels.selected()).map { $0.array(of: Float.self) }
    let apart = try graph.run(fetch: ["y", "other", "a", "c"], Kernels.selected()).map { $0.array(of: Float.self) }
    #expect(both[0] == apart[0] && both[1] == apart[1])
  }

  /// All that one row reads would not stay in the cache.
  @Test func rowsThatAreTooLong() throws {
    let block = RowsBlock(testDescription: "", extents: [4, 12_000])
    let graph = try block.graph()
    let alone = try graph.run(fetch: ["y"], Kernels.selected(), threads: 2)[0].array(of: Float.self)
    #expect(try alone == graph.run(fetch: ["y", "a", "c"], Kernels.selected())[0].array(of: Float.self))
  }
}
