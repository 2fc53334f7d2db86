import Engine
import Glibc
import Graph
import Kernels
import Operators
import Parallel
import Tensors
import Testing

/// Maps that are joined along their channels and then normalised by given statistics.
struct JoinedMaps: Sendable, CustomTestStringConvertible {
  var testDescription: String
  /// Of what is joined, in order.
  var channels = [5, 16, 3]
  var images = 2
  var extents = [3, 4]
  var axis = 1
  /// Which of them lie in ONNX order, and which are constants.
  var fed: Set<Int> = []
  var constant: Set<Int> = []
  /// The first is joined once more at the end.
  var isRepeated = false
  /// Fed with their channels last and turned, in place of pooled by windows of one pixel.
  var isTurned = false
  var activation: String? = "Relu"
  /// Whether the values are joined in the normalisation itself.
  var isJoined = true

  static let all = [
    JoinedMaps(testDescription: "a clamp"),
    JoinedMaps(testDescription: "nothing behind", activation: nil),
    JoinedMaps(testDescription: "what does not only clamp", activation: "Softplus"),
    JoinedMaps(testDescription: "one value", channels: [7]),
    JoinedMaps(testDescription: "many", channels: Array(repeating: 32, count: 9), images: 1, extents: [14, 14]),
    JoinedMaps(testDescription: "none of its channels", channels: [4, 0, 3]),
    JoinedMaps(testDescription: "no channels", channels: [0, 0], isJoined: false),
    JoinedMaps(testDescription: "no images", images: 0, isJoined: false),
    JoinedMaps(testDescription: "signals", extents: [9]),
    JoinedMaps(testDescription: "volumes", extents: [2, 3, 4], fed: [1], isTurned: true),
    JoinedMaps(testDescription: "volumes, the axis from the end", extents: [2, 3, 4], axis: -4, isTurned: true),
    JoinedMaps(testDescription: "volumes in ONNX order", extents: [2, 3, 4], isJoined: false),
    JoinedMaps(testDescription: "turned images", isTurned: true),
    JoinedMaps(testDescription: "an axis from the end", axis: -3),
    JoinedMaps(testDescription: "an axis of signals from the end", extents: [9], axis: -2),
    JoinedMaps(testDescription: "a constant", constant: [1]),
    JoinedMaps(testDescription: "the first a constant", constant: [0]),
    JoinedMaps(testDescription: "in ONNX order", fed: [0, 2]),
    JoinedMaps(testDescription: "all in ONNX order", fed: [0, 1, 2], isJoined: false),
    JoinedMaps(testDescription: "the same twice", isRepeated: true),
    JoinedMaps(testDescription: "rows", channels: [2, 2], extents: [3, 4], axis: 2, isJoined: false),
    JoinedMaps(testDescription: "images", channels: [2, 2], axis: 0, isJoined: false),
  ]

  private func shape(_ i: Int) throws -> Shape { try Shape(checking: [images, channels[i]] + extents) }

  private func numbers(_ count: Int, _ seed: Int) -> [Float] {
    (0..<count).map { (k: Int) -> Float in Float((k + 7 * seed) * 37 % 101) / 25 - 2 }
  }

  /// [images, extents, channels]
  private func turned(_ values: Tensor) throws -> Tensor {
    let (from, pixels, own) = (values.array(of: Float.self), extents.reduce(1, *), values.shape[1])
    let to = (0..<values.count).map { (k: Int) -> Float in
      let (image, pixel, channel) = (k / (pixels * own), k / own % pixels, k % own)
      return from[(image * own + channel) * pixels + pixel]
    }
    return try Tensor(to, Shape(checking: [images] + extents + [own]))
  }

  /// The channels of what is joined.
  var width: Int { axis == 2 || axis == 0 ? channels[0] : channels.reduce(0, +) + (isRepeated ? channels[0] : 0) }

  /// The values scale, shift, mean, variance that the graph gives.
  var statistics: [[Float]] {
    [1, 2, 3].map { numbers(width, 40 + $0) } + [numbers(width, 50).map { $0 * $0 + 0.5 }]
  }

  /// `isFed` makes the statistics feeds.
  func graph(statisticsFed isFed: Bool = false) throws -> SmallGraph {
    var graph = SmallGraph()
    var joined: [String] = []
    for i in channels.indices {
      let values = try Tensor(numbers(shape(i).count, i), shape(i))
      if constant.contains(i) {
        graph.constant("x\(i)", values)
      } else {
        graph.feed("x\(i)", isTurned && !fed.contains(i) ? try turned(values) : values)
      }
      let isMade = !constant.contains(i) && !fed.contains(i)
      joined.append(isMade ? "m\(i)" : "x\(i)")
      guard isMade else { continue }
      if isTurned {
        let last = extents.count + 1
        graph.node("Transpose", ["x\(i)"], ["m\(i)"], ["perm": .ints([0, last] + Array(1..<last))])
      } else {
        graph.node(
          "MaxPool", ["x\(i)"], ["m\(i)"], ["kernel_shape": .ints([Int](repeating: 1, count: extents.count))])
      }
    }
    if isRepeated { joined.append(joined[0]) }
    graph.node("Concat", joined.map { $0 }, ["joined"], ["axis": .int(axis)])
    for (name, values) in zip(["scale", "shift", "mean", "variance"], statistics) {
      let values = try Tensor(values, [values.count])
      if isFed { graph.feed(name, values) } else { graph.constant(name, values) }
    }
    graph.node(
      "BatchNormalization", ["joined", "scale", "shift", "mean", "variance"], [activation == nil ? "y" : "normal"],
      ["epsilon": .float(1e-3)])
    if let activation { graph.node(activation, ["normal"], ["y"]) }
    return graph
  }

  /// By the formula, of what a plain Concat gives.
  func expected(of joined: [Float]) throws -> [Double] {
    let statistics = statistics.map { $0.map(Double.init) }
    let pixels = extents.reduce(1, *) * (axis == 2 ? channels.count : 1)
    return joined.indices.map { i in
      let c = i / pixels % width
      let value =
        (Double(joined[i]) - statistics[2][c]) / (statistics[3][c] + 1e-3).squareRoot() * statistics[0][c]
        + statistics[1][c]
      return switch activation {
      case "Relu"?: max(value, 0)
      case "Softplus"?: max(value, 0) + log1p(exp(-abs(value)))
      default: value
      }
    }
  }

  /// The values joined by loops of their own.
  func joinedByHand() throws -> [Float] {
    let order = Array(channels.indices) + (isRepeated ? [0] : [])
    let parts = try order.map { numbers(try shape($0).count, $0) }
    let outer = axis == 0 ? 1 : axis == 2 ? images * channels[0] : images
    var joined: [Float] = []
    for o in 0..<outer {
      for part in parts {
        let own = part.count / outer
        joined += part[o * own..<(o + 1) * own]
      }
    }
    return joined
  }
}

@Suite struct JoinedNormalizationTests {
  private static func operations(_ graph: SmallGraph, fetch: [String]) throws -> [String] {
    let profile = Profile()
    let engine = try graph.engine()
    _ = try engine.run(
      graph.feeds, fetch: fetch.map { engine.graph.value(named: $0)! }, parallel: .serial,
      progress: .profiling(profile))
    return profile.steps.map(\.operation)
  }

  @Test(arguments: JoinedMaps.all, 1...3)
  func numbers(maps: JoinedMaps, threads: Int) throws {
    let graph = try maps.graph()
    for kernels in [try Kernels(.portable), try Kernels.selected()] {
      let alone = try graph.run(fetch: ["y"], kernels, threads: threads)[0].array(of: Float.self)
      // Asked for, the joined values are there, and the steps apart.
      let apart = try graph.run(fetch: ["y", "joined"], kernels, threads: threads).map { $0.array(of: Float.self) }
      let joined = try maps.joinedByHand()
      #expect(apart[1] == joined)
      #expect(apart[0] == alone)
      let expected = try maps.expected(of: joined)
      #expect(expected.count == alone.count)
      for (a, b) in zip(alone, expected) { #expect(abs(Double(a) - b) <= 4e-6 * max(1, abs(b))) }
    }
    #expect(try Self.operations(graph, fetch: ["y"]).contains("Concat") != maps.isJoined)
  }

  @Test func valuesThatOthersReadAreKept() throws {
    var graph = try JoinedMaps.all[0].graph()
    graph.node("Neg", ["joined"], ["other"])
    #expect(try Self.operations(graph, fetch: ["y", "other"]).contains("Concat"))
    #expect(try !Self.operations(graph, fetch: ["y"]).contains("Concat"))
    let found = try graph.run(fetch: ["y", "other"], Kernels(.portable)).map { $0.array(of: Float.self) }
    let joined = try JoinedMaps.all[0].joinedByHand()
    #expect(found[1] == joined.map { -$0 })
    for (a, b) in zip(found[0], try JoinedMaps.all[0].expected(of: joined)) { #expect(abs(Double(a) - b) < 4e-5) }
  }

  @Test func statisticsThatAreFed() throws {
    let maps = JoinedMaps.all[0]
    let graph = try maps.graph(statisticsFed: true)
    #expect(try Self.operations(graph, fetch: ["y"]).contains("Concat"))
    let found = try graph.run(fetch: ["y"], Kernels(.portable))[0].array(of: Float.self)
    for (a, b) in zip(found, try maps.expected(of: maps.joinedByHand())) { #expect(abs(Double(a) - b) < 4e-5) }
  }

  /// Statistics of the batch itself are those of all channels at once.
  @Test func statisticsOfTheBatch() throws {
    var graph = try JoinedMaps(testDescription: "", activation: nil).graph()
    graph.graph.nodes[graph.graph.nodes.count - 1].attributes["training_mode"] = .int(1)
    #expect(try Self.operations(graph, fetch: ["y"]).contains("Concat"))
  }

  @Test func otherNumbersOfChannelsAreRefused() throws {
    for axis in [1, -3] {
      var graph = try JoinedMaps(testDescription: "", axis: axis).graph()
      graph.constant("mean", try Tensor([1, 2, 3] as [Float], [3]))
      let failure = #expect(throws: Failure.self) { try graph.run(fetch: ["y"], Kernels(.portable)) }
      #expect(failure?.kind == .invalidModel)
      #expect(failure?.message == "BatchNormalization: input 3 has shape [3]; expected [24]")
    }
  }

  /// The scale is known but by the shape of what is fed late: the values are joined behind the cut, for each round.
  @Test(arguments: 1...2) func runsInTwoParts(threads: Int) throws {
    let maps = JoinedMaps.all[0]
    var graph = try maps.graph()
    let names = ["joined", "ones", "shift", "mean", "variance"]
    try graph.constant("zero", [0])
    try graph.constant("one", [1])
    graph.node("Shape", ["late"], ["extents"])
    graph.node("Slice", ["extents", "one", "two"], ["width"])
    try graph.constant("two", [2])
    graph.node("ConstantOfShape", ["width"], ["ones"], ["value": .tensor(try Tensor([1] as [Float], [1]))])
    graph.node("BatchNormalization", names, ["z"], ["epsilon": .float(1e-3)])
    graph.node("Add", ["z", "late"], ["sum"])
    graph.node("GlobalMaxPool", ["m0"], ["pooled"])
    let engine = try graph.engine()
    func value(_ name: String) throws -> ValueID { try #require(engine.graph.value(named: name)) }
    let shape = Shape(trusted: [maps.images, maps.width] + maps.extents)
    var found: [[Float]] = []
    try engine.run(
      graph.feeds, early: [value("pooled")], late: (try value("late"), Operand(.float32, shape)),
      fetch: [value("sum")], parallel: Parallel(threads: threads), progress: .unwatched,
      rounds: { _ in
        try [0, 10, -20].map { try Tensor([Float](repeating: $0, count: shape.count), shape) }
      },
      { _, results in found.append(results[0].array(of: Float.self)) })
    #expect(found.count == 3)
    let joined = try maps.joinedByHand()
    let statistics = maps.statistics.map { $0.map(Double.init) }
    for (values, added) in zip(found, [0.0, 10, -20]) {
      for (i, value) in values.enumerated() {
        let c = i / 12 % maps.width
        let expected =
          (Double(joined[i]) - statistics[2][c]) / (statistics[3][c] + 1e-3).squareRoot() + statistics[1][c] + added
        #expect(abs(Double(value) - expected) < 4e-5)
      }
    }
  }
}
