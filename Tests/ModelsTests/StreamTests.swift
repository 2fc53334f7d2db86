import Graph
import Models
import Parallel
import Tensors
import Testing

/// y = 2 · GlobalAveragePool(Relu(x)): an inner value "relu" of [N, 2, h, w], scores of [N, 2].
private func pooling(reshapedTo target: [Int64]? = nil) throws -> Model {
  var graph = Graph()
  graph.opsets[""] = 17
  func add(_ operation: String, _ inputs: [ValueID]) -> ValueID {
    let output = graph.addValue(operation)
    graph.nodes.append(Node(operation, inputs: inputs, outputs: [output]))
    return output
  }
  let x = graph.addValue("x")
  let pooled = add("GlobalAveragePool", [add("Relu", [x])])
  let two = graph.addValue("two")
  graph.constants[two] = try Tensor([2] as [Float], [1])
  let doubled = add("Mul", [pooled, two])
  let shape = graph.addValue("shape")
  let extents = target ?? [-1, 2]
  graph.constants[shape] = try Tensor(extents, [extents.count])
  let scores = add("Reshape", [doubled, shape])
  graph.inputs = [Declaration(value: x, type: .float32, dimensions: [.named("N"), .fixed(2), .unknown, .unknown])]
  graph.outputs = [Declaration(value: scores, type: .float32, dimensions: nil)]
  return try Model(graph: graph, options: Model.Options(), .unwatched)
}

/// Item i holds i + 1 in its first channel, its square in the second. Items of odd index are larger where `isMixed`.
private struct Squares: InputStream {
  let count: Int
  var isMixed = false
  var missing: Set<Int> = []

  func shape(_ i: Int) -> Shape? {
    if missing.contains(i) { return nil }
    return isMixed && i % 2 == 1 ? [2, 2, 3] : [2, 2, 2]
  }

  func write(_ i: Int, into target: UnsafeMutablePointer<Float>) {
    let size = shape(i).map { $0.count / 2 } ?? 0
    for k in 0..<size {
      target[k] = Float(i + 1)
      target[size + k] = Float((i + 1) * (i + 1))
    }
  }
}

@Suite struct StreamTests {
  private func run(
    _ model: Model, _ stream: some InputStream, feeding: String? = nil, batchSize: Int = 4,
    _ progress: Progress = .unwatched
  ) throws -> (items: [[Int]], values: [Float]) {
    var call = Call()
    call.batchSize = batchSize
    var items: [[Int]] = []
    var values: [Float] = []
    let scores = try model.value(named: "Reshape")
    try model.forEachBatch(
      of: stream, feeding: feeding.map(model.value), fetch: [scores], call, progress
    ) { batch in
      #expect(batch.tensors[0].shape == [batch.count, 2])
      items.append(batch.items)
      values += batch.tensors[0].array(of: Float.self)
    }
    return (items, values)
  }

  private func expected(_ items: some Sequence<Int>) -> [Float] {
    items.flatMap { (i: Int) -> [Float] in
      let value = Float(i + 1)
      return [2 * value, 2 * value * value]
    }
  }

  @Test(arguments: 1...12) func everyItemComesOnceWhateverTheBatch(batchSize: Int) throws {
    let model = try pooling()
    for feeding in [nil, "Relu", "x"] {
      let (items, values) = try run(model, Squares(count: 11), feeding: feeding, batchSize: batchSize)
      #expect(items.flatMap(\.self) == Array(0..<11))
      #expect(items.allSatisfy { $0.count <= batchSize })
      #expect(values == expected(0..<11))
    }
  }

  @Test func itemsOfOtherShapesRunApart() throws {
    let (items, values) = try run(pooling(), Squares(count: 5, isMixed: true))
    #expect(items == [[0], [1], [2], [3], [4]])
    #expect(values == expected(0..<5))
  }

  @Test func missingItemsAreLeftOut() throws {
    let (items, values) = try run(pooling(), Squares(count: 7, missing: [0, 3, 6]))
    #expect(items == [[1, 2, 4, 5]])
    #expect(values == expected([1, 2, 4, 5]))
    #expect(try run(pooling(), Squares(count: 2, missing: [0, 1])).items.isEmpty)
    #expect(try run(pooling(), Squares(count: 0)).items.isEmpty)
  }

  @Test func aTailThatNeedsTheInputToo() throws {
    let model = try pooling()
    let failure = #expect(throws: Failure.self) {
      try model.forEachBatch(
        of: Squares(count: 2), feeding: model.value(named: "Mul"), fetch: [model.value(named: "Relu")], Call(),
        .unwatched) { _ in }
    }
    #expect(failure?.kind == .invalidArgument)
    #expect(failure?.message.contains("the input \"x\" is needed, but not fed") == true)
  }

  /// A failure in what is done with a batch is the caller's: it is not run again, nor does the model learn of it.
  @Test func aFailingBodyIsNotTheModels() throws {
    let model = try pooling()
    var calls = 0
    let failure = #expect(throws: Failure.self) {
      try model.forEachBatch(
        of: Squares(count: 6), fetch: [model.value(named: "Reshape")], Call(), .unwatched
      ) { _ in
        calls += 1
        throw Failure(.invalidModel, "of the body")
      }
    }
    #expect(failure?.message == "of the body" && calls == 1)
    #expect(try run(model, Squares(count: 6)).items == [[0, 1, 2, 3], [4, 5]])
  }

  @Test func aModelForOneItemLearnsItOnce() throws {
    let model = try pooling(reshapedTo: [1, 2])
    for _ in 0..<2 {
      let (items, values) = try run(model, Squares(count: 3))
      #expect(items == [[0], [1], [2]])
      #expect(values == expected(0..<3))
    }
    // A model that fails one by one, too, has learnt nothing.
    let broken = try pooling(reshapedTo: [3, 2])
    #expect(throws: Failure.self) { try run(broken, Squares(count: 2)) }
    #expect(try run(broken, Squares(count: 3)).values == expected(0..<3))
  }

  @Test func progressGoesToTheEndAndStopsAnywhere() throws {
    let model = try pooling()
    var reports: [UInt64] = []
    _ = try run(model, Squares(count: 9), Progress { done, total in
      reports.append(done * 1000 / total)
      return true
    })
    #expect(reports == reports.sorted() && reports.last == 1000 && reports.count > 9)
    for last in 0..<reports.count {
      var asked = 0
      let failure = #expect(throws: Failure.self) {
        try run(model, Squares(count: 9), Progress { _, _ in
          asked += 1
          return asked <= last
        })
      }
      #expect(failure?.kind == .cancelled && asked == last + 1)
    }
  }

  @Test func partsOfUnequalCost() throws {
    var reports: [UInt64] = []
    let whole = Progress { done, total in
      reports.append(done * 100 / total)
      return true
    }
    let parts = whole.parts(1, 3)
    try parts[0].advance(1, of: 2)
    try parts[0].polling.advance(1, of: 1)
    try parts[1].range(1..<2, of: 3).advance(1, of: 1)
    try parts[0].advance(0, of: 1)
    try parts[1].advance(1, of: 1)
    #expect(reports == [12, 12, 75, 75, 100])
  }
}
