import Engine
import Glibc
public import Graph
public import Parallel
import Synchronization
public import Tensors

extension Model {
  /// The threads that a call runs on.
  public func parallel(for call: Call) -> Parallel {
    call.threads > 0 ? Parallel(threads: min(call.threads, 1024)) : parallel
  }

  /// Runs the model on pictures, some at a time, and hands `body` the values named by `fetches` for each group:
  /// the index of its first picture, how many there are, and a tensor [count, …] for each fetch.
  ///
  /// Pictures run together where they come to the same shape at the model's input.
  public func forEachBatch(
    of pictures: [Picture], fetch fetches: [ValueID], _ call: Call, _ body: (Int, Int, [Tensor]) throws -> Void
  ) throws {
    guard let input, graph.inputs.count == 1 else {
      throw Failure(
        .unsupported,
        "images can be fed to models with one 4-D floating-point input; this one has \(graph.inputs.count) inputs "
          + "(feed them by name with limpid_run)")
    }
    var first = 0
    while first < pictures.count {
      let shape = try pictures.count == 1
        ? preparedShape(of: pictures[first])
        : locating("image \(first)") { try preparedShape(of: pictures[first]) }
      let size = batchSize(call)
      var end = first + 1
      while end < pictures.count, end - first < size, try preparedShape(of: pictures[end]) == shape { end += 1 }
      let progress = call.progress.range(first..<end, of: pictures.count)
      do {
        try run(pictures[first..<end], shape, input, fetches, call, progress, body)
      } catch let failure as Failure where failure.kind == .invalidModel && end - first > 1 {
        // Exporters write a batch of 1 into reshapes even where they declare it as variable.
        takesOneImage.store(true, ordering: .relaxed)
        end = first
      }
      first = end
    }
  }

  private func run(
    _ pictures: ArraySlice<Picture>, _ shape: Shape, _ input: Declaration, _ fetches: [ValueID], _ call: Call,
    _ progress: Progress, _ body: (Int, Int, [Tensor]) throws -> Void
  ) throws {
    let batch = declaredBatch ?? pictures.count
    guard batch >= pictures.count else {
      throw Failure(.invalidModel, "the model's input takes batches of \(batch)")
    }
    let tensor = try prepared(pictures, shape: shape, batch: batch)
    let results = try engine.run(
      [(input.value, tensor)], fetch: fetches, parallel: parallel(for: call), progress: progress)
    try body(pictures.startIndex, pictures.count, results.map { try $0.leading(pictures.count, of: batch) })
  }

  private var declaredBatch: Int? {
    if case .fixed(let extent)? = input?.dimensions?.first { extent } else { nil }
  }

  private func batchSize(_ call: Call) -> Int {
    if let declaredBatch { return max(1, declaredBatch) }
    if takesOneImage.load(ordering: .relaxed) { return 1 }
    return call.batchSize > 0 ? call.batchSize : Call.defaultBatchSize
  }

  /// The named values for all pictures: [pictures, …] each; a value that does not depend on the batch, once.
  public func fetch(_ names: [String], for pictures: [Picture], _ call: Call = Call()) throws -> [Tensor] {
    let values = try names.map { try value(named: $0) }
    var parts = [[Tensor]](repeating: [], count: names.count)
    try forEachBatch(of: pictures, fetch: values, call) { _, _, tensors in
      for (i, tensor) in tensors.enumerated() { parts[i].append(tensor) }
    }
    return try parts.map { try Tensor(joining: $0) }
  }

  /// [pictures, classes] probabilities, row by row: the softmax of logits, or what the model itself gives.
  public func classify(_ pictures: [Picture], _ call: Call = Call()) throws -> [Float] {
    guard let scores else { throw Failure(.unsupported, "the model has no class scores") }
    var probabilities: [Float] = []
    try forEachBatch(of: pictures, fetch: [scores.value], call) { _, count, tensors in
      let rows = try Scores(tensors[0], count: count)
      for i in 0..<count { probabilities += probability(rows[i]) }
    }
    return probabilities
  }

  /// One picture's scores as probabilities, by the role of the output that they come from.
  private func probability(_ scores: ArraySlice<Float>) -> [Float] {
    switch self.scores?.role {
    case .probabilities?: return Array(scores)
    case .logProbabilities?: return scores.map { Float(exp(Double($0))) }
    default:
      let largest = Double(scores.max() ?? 0)
      let powers = scores.map { exp(Double($0) - largest) }
      let sum = powers.reduce(0, +)
      return powers.map { Float($0 / sum) }
    }
  }
}

/// The class scores of a batch of pictures.
public struct Scores {
  public let values: [Float]
  public let classCount: Int

  /// `tensor` is [count, classes], or such with more axes of extent 1.
  public init(_ tensor: Tensor, count: Int) throws {
    let tensor = try tensor.computed()
    guard tensor.type == .float32, tensor.shape.rank >= 2, tensor.shape[0] == count, count > 0 else {
      throw Failure(
        .unsupported, "the model's scores are \(tensor.type) \(tensor.shape), not floating-point [images, classes]")
    }
    values = tensor.array(of: Float.self)
    classCount = values.count / count
  }

  /// The scores of picture `i`; indices start at 0 again.
  public subscript(i: Int) -> ArraySlice<Float> { Array(values[i * classCount..<(i + 1) * classCount])[...] }

  /// The class with the largest score, the first of equal ones; NaN never wins.
  public func predicted(_ i: Int) -> Int {
    let row = self[i]
    var best = 0
    for c in row.indices where row[c] > row[best] || (row[best].isNaN && !row[c].isNaN) { best = c }
    return best
  }
}
