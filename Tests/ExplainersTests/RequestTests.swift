import Explainers
import Explanations
import Graph
import Models
import Parallel
import Tensors
import Testing

/// A method that needs no gradients: how much each pixel's column adds to the score, with noise that may be fed.
private struct Columns: Explainer {
  let name = "columns"
  let summary = "Of each column of the image, the score that it gets alone."
  let parameters = [
    Parameter("gain", default: 1, in: 0...10.0, "What scores are multiplied by."),
    Parameter("every", default: 1, in: 1...4, "Columns that are seen together."),
    Parameter("fill", choices: ["zero", "noise"], default: "zero", "What the other columns are."),
  ]
  let draws = [Draw("noise", "float32 [channels, height, width]; zeros where it is not given.")]
  let drawsNumbers = true

  func canExplain(_ model: Model) -> Bool { model.scores != nil && model.input != nil }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let model = request.model
    let gain = try Float(request.settings.number("gain"))
    let every = try request.settings.integer("every")
    let head = try #require(model.scores)
    let costs = request.images.map { Double($0.width) }
    return try zip(request.images.indices, request.progress.parts(costs)).flatMap { i, progress in
      let image = try model.prepared(request.images[i], .unwatched)
      let shape = Shape(trusted: Array(image.shape.dimensions.dropFirst()))
      let noise = try request.draw("noise", shape.dimensions)?.array(of: Float.self)
      let isNoise = try request.settings.word("fill") == "noise"
      let values = image.array(of: Float.self)
      let width = shape[2]
      let parts = progress.parts(1, Double(width / every))
      var classes: [Int] = []
      var own: [Float] = []
      try model.forEachBatch(
        of: model.stream([request.images[i]], .unwatched), fetch: [head.output], request.call, parts[0]
      ) { batch in
        let scores = try Scores(batch.tensors[0], count: 1, of: head)
        classes = try request.resolvedClasses(i, scores, row: 0)
        own = classes.map { scores[0][$0] }
      }
      var grids = classes.map { _ in [Float](repeating: 0, count: width / every) }
      let variants = Variants(count: width / every, shape: shape) { k, target in
        for j in values.indices {
          let isSeen = j % width / every == k
          target[j] = isSeen ? values[j] : isNoise ? noise?[j] ?? 0 : 0
        }
      }
      try model.forEachBatch(of: variants, fetch: [head.output], request.call, parts[1]) { batch in
        let scores = try Scores(batch.tensors[0], count: batch.count, of: head)
        for (row, k) in batch.items.enumerated() {
          for (n, c) in classes.enumerated() { grids[n][k] = gain * scores[row][c] }
        }
      }
      return try classes.indices.map { n in
        Explanation(
          image: i, classIndex: classes[n], score: own[n], grid: Heatmap(grids[n], width: width / every, height: 1),
          field: try model.field(of: request.images[i]), details: [("image", image)])
      }
    }
  }
}

@Suite struct RequestTests {
  /// Scores: the mean of the channel.
  private func model() throws -> Model {
    var graph = Graph()
    graph.opsets[""] = 17
    let (x, pooled, scores) = (graph.addValue("x"), graph.addValue("pooled"), graph.addValue("scores"))
    graph.nodes = [
      Node("GlobalAveragePool", inputs: [x], outputs: [pooled]), Node("Flatten", inputs: [pooled], outputs: [scores]),
    ]
    graph.inputs = [Declaration(value: x, type: .float32, dimensions: [.named("N"), .fixed(2), .fixed(1), .fixed(4)])]
    graph.outputs = [Declaration(value: scores, type: .float32, dimensions: nil)]
    return try Model(graph: graph, options: Model.Options(), .unwatched)
  }

  private func explain(
    _ classes: [Int?] = [0, 1], _ set: (inout Call) throws -> Void = { _ in }
  ) throws -> [Explanation] {
    var call = Call()
    try set(&call)
    let values: [Float] = [4, 8, 12, 16, -4, 0, 4, 40]
    return try values.withUnsafeBufferPointer { buffer in
      let base = try #require(buffer.baseAddress)
      return try model().explain(
        [.planes(base, width: 4, height: 1)], classes: [classes], method: Columns(), call, .unwatched)
    }
  }

  @Test func aMethodIsAskedWithWhatItDeclares() throws {
    let found = try explain()
    #expect(found.map(\.classIndex) == [0, 1] && found.map(\.score) == [10, 10])
    #expect(found[0].grid.values == [1, 2, 3, 4] && found[1].grid.values == [-1, 0, 1, 10])
    #expect(found[0].method == "columns" && found[0].seed == 0 && found[0].details.map(\.name) == ["image"])
    #expect(found[0].parameters.map(\.name) == ["gain", "every", "fill"])
    #expect(found[0].parameters.map(\.value) == [1, 1, "zero"])
  }

  @Test func whatIsGivenIsUsedAndSaid() throws {
    let found = try explain([nil]) { call in
      call.parameters = ["gain": 2, "every": 2, "fill": "noise"]
      call.draws["noise"] = try Tensor([UInt8](repeating: 4, count: 8), .uint8, [2, 1, 4])
      call.seed = 9
      call.batchSize = 1
    }
    #expect(found[0].classIndex == 0 && found[0].grid.values == [10, 18])
    #expect(found[0].parameters.map(\.value) == [2, 2, "noise"] && found[0].seed == 9)
  }

  @Test(arguments: [
    ("gain", ParameterValue.number(11), "the parameter \"gain\" is 11; it must be a number between 0 and 10"),
    ("gain", "much", "the parameter \"gain\" is \"much\"; it must be a number"),
    ("gain", .number(.nan), "it must be a number between 0 and 10"),
    ("every", 1.5, "the parameter \"every\" is 1.5; it must be a whole number between 1 and 4"),
    ("fill", "grey", "the parameter \"fill\" is \"grey\"; it must be zero or noise"),
    ("fill", 1, "the parameter \"fill\" is 1; it must be a word: zero or noise"),
    ("step\u{1B}", 1, "the method \"columns\" has no parameter \"step\u{FFFD}\"; it has gain, every, fill"),
  ]) func aWrongParameter(name: String, value: ParameterValue, message: String) throws {
    let failure = #expect(throws: Failure.self) { try explain { $0.parameters[name] = value } }
    #expect(failure?.message.contains(message) == true)
    #expect(failure?.kind == (message.contains("has no") ? .notFound : .invalidArgument))
  }

  @Test func whatIsNotReadIsRefused() throws {
    let layers = #expect(throws: Failure.self) { try explain { $0.layers = ["pooled"] } }
    #expect(layers?.message == "the method \"columns\" taps no layer, but \"pooled\" was given; leave it out")
    let draws = #expect(throws: Failure.self) { try explain { $0.draws["grid"] = try Tensor([0] as [Float], [1]) } }
    #expect(draws?.kind == .notFound)
    #expect(draws?.message == "the method \"columns\" reads no draws \"grid\"; it reads noise")
    let shape = #expect(throws: Failure.self) { try explain { $0.draws["noise"] = try Tensor([0] as [Float], [1]) } }
    #expect(shape?.message == "the draws \"noise\" are of shape [1], not [2×1×4]")
    let index = #expect(throws: Failure.self) { try explain([2]) }
    #expect(index?.message == "class 2 is out of range; the model has 2 classes, 0 to 1")
    var call = Call()
    call.seed = 3
    let seed = #expect(throws: Failure.self) { try model().classify([], call, .unwatched) }
    #expect(seed?.message == "classifying draws no random numbers, but the seed 3 was given; leave it out")
  }
}
