import Graph
import Models
import Parallel
import Tensors
import Testing

/// Images that are fed to models with a declared batch: an image is two channels of 2×2, and each class's score is
/// the mean of a channel.
@Suite struct BatchTests {
  private func model(
    batch: Dimension, side: Int = 2, reshapedTo target: [Int64]? = nil, memoryLimit: UInt64 = 64 << 20
  ) throws -> Model {
    var graph = Graph()
    graph.opsets[""] = 17
    let x = graph.addValue("x")
    var value = x
    func add(_ operation: String, _ more: [ValueID] = []) {
      let output = graph.addValue(operation)
      graph.nodes.append(Node(operation, inputs: [value] + more, outputs: [output]))
      value = output
    }
    add("GlobalAveragePool")
    if let target {
      let shape = graph.addValue("shape")
      graph.constants[shape] = try Tensor(target, [target.count])
      add("Reshape", [shape])
    } else {
      add("Flatten")
    }
    graph.inputs = [
      Declaration(value: x, type: .float32, dimensions: [batch, .fixed(2), .fixed(side), .fixed(side)])
    ]
    graph.outputs = [Declaration(value: value, type: .float32, dimensions: nil)]
    var options = Model.Options()
    options.memoryLimit = memoryLimit
    options.threads = 1
    return try Model(graph: graph, options: options, .unwatched)
  }

  /// Scores 0.5 and 1 for the first image, 1 and 2 for the second, and so on.
  private func withImages<R>(_ count: Int, _ body: ([ImageInput]) throws -> R) rethrows -> R {
    let numbers = (0..<count).flatMap { i in ([0, 0, 1, 1, 4, 0, 0, 0] as [Float]).map { $0 * Float(i + 1) } }
    return try numbers.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return try body([]) }
      return try body((0..<count).map { .planes(base + 8 * $0, width: 2, height: 2) })
    }
  }

  /// The groups in which the images ran, and all scores.
  private func scores(
    _ model: Model, of count: Int, _ call: Call = Call(), _ progress: Progress = .unwatched
  ) throws -> (groups: [Int], [Float]) {
    var groups: [Int] = []
    var values: [Float] = []
    let output = try #require(model.graph.outputs.first?.value)
    try withImages(count) { images in
      try model.forEachBatch(of: model.stream(images, progress), fetch: [output], call, progress) { batch in
        let first = groups.reduce(0, +)
        #expect(batch.items == Array(first..<first + batch.count))
        #expect(batch.tensors[0].shape == [batch.count, 2])
        groups.append(batch.count)
        values += batch.tensors[0].array(of: Float.self)
      }
    }
    return (groups, values)
  }

  private func expected(_ count: Int) -> [Float] { (1...count).flatMap { [0.5 * Float($0), Float($0)] } }

  @Test func aBatchOfNothingTakesNoImages() throws {
    let model = try model(batch: .fixed(0))
    #expect(model.classCount == nil)
    for count in [1, 3] {
      let failure = #expect(throws: Failure.self) { try scores(model, of: count) }
      #expect(failure?.kind == .invalidModel)
      #expect(failure?.message.contains("batches of 0") == true)
      let other = #expect(throws: Failure.self) { try withImages(count) { try model.classify($0, Call(), .unwatched) } }
      #expect(other?.kind == .invalidModel)
    }
    // By name it runs: nothing comes out.
    let nothing = try Tensor([Float](), [0, 2, 2, 2])
    #expect(try model.run([("x", nothing)], fetch: ["Flatten"], Call(), .unwatched)[0].count == 0)
  }

  @Test(arguments: [0, 1, 3]) func aModelForOneImageRunsOnceForEach(batchSize: Int) throws {
    let model = try model(batch: .fixed(1))
    var call = Call()
    call.batchSize = batchSize
    var reports: [UInt64] = []
    let progress = Progress { done, total in
      #expect(done <= total)
      reports.append(done * 1000 / total)
      return true
    }
    let (groups, values) = try scores(model, of: 5, call, progress)
    #expect(groups == [1, 1, 1, 1, 1])
    #expect(values == expected(5))
    #expect(reports == reports.sorted() && reports.last == 1000)
  }

  @Test func probabilitiesOfAModelForOneImage() throws {
    let model = try model(batch: .fixed(1))
    let found = Array(try withImages(3) { try model.classify($0, Call(), .unwatched) })
    // The softmax of differences of 0.5, 1 and 1.5.
    let second: [Float] = [0.6224593, 0.7310586, 0.8175745]
    for (i, p) in second.enumerated() {
      #expect(abs(found[2 * i + 1] - p) < 1e-6)
      #expect(abs(found[2 * i] - (1 - p)) < 1e-6)
    }
  }

  @Test func aFixedBatchIsFilledUp() throws {
    let (groups, values) = try scores(try model(batch: .fixed(4)), of: 6)
    #expect(groups == [4, 2])
    #expect(values == expected(6))
  }

  /// What exporters do that trace one image: the batch is declared as variable, and a 1 is written into a Reshape.
  @Test func aHiddenBatchOfOneIsFound() throws {
    let model = try model(batch: .named("N"), reshapedTo: [1, 2])
    for _ in 0..<2 {
      let (groups, values) = try scores(model, of: 3)
      #expect(groups == [1, 1, 1])
      #expect(values == expected(3))
    }
  }

  @Test func anAbsurdBatchIsRefusedBeforeItsMemoryIsTaken() throws {
    let failure = #expect(throws: Failure.self) { try model(batch: .fixed(1 << 40)) }
    #expect(failure?.kind == .unsupported)
    #expect(failure?.message.contains("the memory limit is 64 MiB") == true)
    var call = Call()
    call.batchSize = .max
    #expect(try scores(model(batch: .unknown), of: 3, call).groups == [3])
  }
}
