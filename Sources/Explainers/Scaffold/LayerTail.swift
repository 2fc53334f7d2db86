import Engine
import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors
import Transforms

/// The part of a model behind a value, that of a layer, run for many values of it at once.
///
/// The value need not separate the graph: what the scores read beside it (residual branches, patch tokens) is taken
/// from one pass of the image and held. Shapes that are computed from the image are computed again, for as many rows as
/// run.
struct LayerTail {
  let value: ValueID
  /// Shape of the layer's value for `rows` rows, and for one.
  let shape: Shape
  let rowShape: Shape
  /// How many run at once.
  let rows: Int
  private let request: ExplanationRequest
  private let head: ScoreHead
  /// What is known of the graph for `rows` images.
  let trace: Emitter
  private let held: [(value: ValueID, tensor: Tensor)]

  var rowCount: Int { rowShape.count }
  var target: ValueID { head.logits }

  /// How many rows run at once where the caller does not say: more of small ones, since weights are read for all of
  /// them together.
  private static func defaultRows(_ rowCount: Int) -> Int { max(16, min(256, (1 << 18) / max(1, rowCount))) }

  init(
    _ request: ExplanationRequest, behind value: ValueID, of subject: Subject, rows wanted: Int, _ progress: Progress
  ) throws {
    let model = request.model
    head = try request.requiredScores()
    self.request = request
    self.value = value
    let (single, many, rows) = try Self.traces(request, value, head, subject, wanted)
    self.rows = rows
    trace = many
    shape = try Shape(checking: many.shape(value))
    rowShape = try Shape(checking: single.map { try $0.shape(value) } ?? [1] + shape.dimensions.dropFirst())
    guard shape.rank > 0, shape.count == rows * rowShape.count, rows == 1 || shape[0] != rowShape[0] else {
      throw Failure(
        .unsupported,
        "the first axis of the layer \(quoted(model.graph.name(of: value))), \(shape), does not "
          + "count images; choose another layer")
    }
    try model.engine.limit.check(shape.count * 4, for: "\(rows) values of the layer")
    let needed = Self.needed(model, value, head.logits, many)
    let values = try request.forward(subject.image, subject.input, subject.shape, needed, progress.polling)
    held = try zip(needed, values).map { held, tensor in
      let from = try single?.shape(held) ?? tensor.shape.dimensions
      return (held, try tensor.repeated(from, to: many.shape(held), times: rows, model.graph.name(of: held)))
    }
  }

  /// What is known of the graph for one image and for `rows`; one at a time where it takes no more.
  private static func traces(
    _ request: ExplanationRequest, _ value: ValueID, _ head: ScoreHead, _ subject: Subject, _ wanted: Int
  ) throws -> (single: Emitter?, many: Emitter, rows: Int) {
    let model = request.model
    guard let input = model.input else { throw Failure(.unsupported, "the model has no image input") }
    func trace(_ rows: Int) throws -> Emitter {
      try model.engine.trace(
        feeds: model.feeds(for: subject.shape, rows: rows, head, request.call),
        fetches: [head.logits, value], parallel: model.parallel(for: request.call), progress: request.progress)
    }
    if case .fixed(let declared)? = input.dimensions?.first {
      return (declared == 1 ? try trace(1) : nil, try trace(declared), declared)
    }
    let single = try trace(1)
    let limit = try request.call.batchSize > 0 ? request.call.batchSize : defaultRows(single.shape(value).reduce(1, *))
    let rows = max(1, min(limit, wanted))
    guard rows > 1 else { return (single, single, 1) }
    do {
      return (single, try trace(rows), rows)
    } catch let failure as Failure where failure.kind == .invalidModel {
      return (single, single, 1)
    }
  }

  /// The values that `target` needs beside `layer`, which depend on the image but not on the layer.
  private static func needed(_ model: Model, _ layer: ValueID, _ target: ValueID, _ trace: Emitter) -> [ValueID] {
    let graph = model.graph
    let producers = graph.producers()
    let behind = graph.dependents(of: [layer])
    let fed = graph.dependents(of: Set(graph.inputs.map(\.value)))
    var found: [ValueID] = []
    var seen: Set<ValueID> = [layer]
    var pending = [target]
    while let value = pending.popLast() {
      guard seen.insert(value).inserted, fed.contains(value) else { continue }
      // Whole numbers are shapes, which depend on how many rows run.
      if !behind.contains(value), (try? trace.operand(value).type) == .float32 {
        found.append(value)
      } else if let node = producers[value] {
        pending += graph.read(by: graph.nodes[node])
      }
    }
    return found.sorted { $0.index < $1.index }
  }

  /// Runs `count` values of the layer, and gives the logits of each, in order.
  func forEach(
    count: Int, _ progress: Progress, write: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void,
    _ body: (_ i: Int, _ logits: [Float]) throws -> Void
  ) throws {
    try forEachBatch(of: head.logits, count: count, progress, write: write) { items, tensor in
      let logits = try LogitRows(tensor, count: rows)
      for (row, i) in items.enumerated() { try body(i, logits[row]) }
    }
  }

  /// Runs `count` values of the layer, as many at once as may be, and gives what `fetch` is for these.
  func forEachBatch(
    of fetch: ValueID, count: Int, _ progress: Progress,
    write: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void,
    _ body: (_ items: Range<Int>, _ tensor: Tensor) throws -> Void
  ) throws {
    var start = 0
    while start < count {
      let end = min(start + rows, count)
      let tensor = try written(start..<end, write)
      let share = progress.range(start..<end, of: count)
      let results = try request.model.run([(value: value, tensor: tensor)] + held, fetch: [fetch], request.call, share)
      try body(start..<end, results[0])
      start = end
    }
  }

  /// The gradient, by each of `count` values of the layer, of their logits times what `weights` gives.
  func forEachGradient(
    count: Int, _ progress: Progress, write: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void,
    weights: (_ i: Int, _ logits: [Float]) throws -> [Float],
    _ body: (_ i: Int, _ gradient: UnsafeBufferPointer<Float>) throws -> Void
  ) throws {
    let parallel = request.model.parallel(for: request.call)
    var pass = BackwardPass.Request(
      feeds: [(value, .float32, shape)] + held.map { ($0.value, $0.tensor.type, $0.tensor.shape) },
      target: head.logits, values: [value])
    pass.early = [head.logits]
    let backward = try request.model.backwardPass(pass, parallel)
    var start = 0
    while start < count {
      let end = min(start + rows, count)
      let tensor = try written(start..<end, write)
      try backward.run(
        [tensor] + held.map(\.tensor), parallel: parallel, progress: progress.range(start..<end, of: count),
        late: { early in
          let logits = try LogitRows(early[0], count: rows)
          var all = [Float](repeating: 0, count: backward.late.shape.count)
          for i in start..<end {
            let own = try weights(i, logits[i - start])
            for (k, value) in own.enumerated() { all[(i - start) * logits.count + k] = value }
          }
          return [try Tensor(all, backward.late.shape)]
        }
      ) { _, gradients in
        let gradient = try gradients[0].aligned()
        try withExtendedLifetime(gradient) {
          let first = gradient.data.assumingMemoryBound(to: Float.self)
          for i in start..<end {
            try body(i, UnsafeBufferPointer(start: first + (i - start) * rowCount, count: rowCount))
          }
        }
      }
      start = end
    }
  }

  /// Rows behind the last are 0.
  private func written(
    _ items: Range<Int>, _ write: (Int, UnsafeMutablePointer<Float>) throws -> Void
  ) throws -> Tensor {
    let tensor = try Tensor(.float32, shape)
    let target = tensor.data.assumingMemoryBound(to: Float.self)
    for (row, i) in items.enumerated() { try write(i, target + row * rowCount) }
    (target + items.count * rowCount).update(repeating: 0, count: (rows - items.count) * rowCount)
    return tensor
  }
}

extension FeatureLayer {
  /// Where the layer keeps a channel at a position of its grid (row by row), within one row of the batch.
  func place(channel: Int, position: Int) -> Int {
    let all = grid.before + grid.rows * grid.columns + grid.after
    switch arrangement {
    case .channelsFirst, .channelsOfTokens: return channel * all + grid.before + position
    case .channelsLast, .tokens: return (grid.before + position) * channels + channel
    }
  }
}

extension Tensor {
  /// What is there for one image, as it is for `times` like ones, of whose value `target` is the shape.
  fileprivate func repeated(_ from: [Int], to target: [Int], times: Int, _ name: String) throws -> Tensor {
    if times == 1 || from == target { return self }
    let axes = from.count == target.count ? from.indices.filter { from[$0] != target[$0] } : []
    guard axes.count == 1, target[axes[0]] == from[axes[0]] * times, type == .float32, shape.dimensions == from else {
      throw Failure(
        .unsupported,
        "the value \(quoted(name)) has the shape \(from) for one image and \(target) for \(times); the "
          + "part of the model behind this layer cannot be run by itself")
    }
    let outer = from[..<axes[0]].reduce(1, *)
    let block = outer > 0 ? byteCount / outer : 0
    let result = try Tensor(type, Shape(checking: target))
    for i in 0..<outer {
      for k in 0..<times {
        (result.data + (i * times + k) * block).copyMemory(from: data + i * block, byteCount: block)
      }
    }
    return result
  }
}
