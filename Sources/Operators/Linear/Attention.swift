import Glibc
import Graph
import Kernels
import Parallel
import Tensors

/// Attention (version 23 on): softmax(scale · Q Kᵀ + mask) V for each head. Several query heads may share a key head,
/// keys and values of earlier calls may come before those of this one.
enum Attention {
  static let definitions = [OperatorDefinition("Attention", plan: plan).gradient(AttentionGradient.rule).local(.image)]

  private static func plan(_ request: Request) throws -> Step {
    let task = try AttentionTask(request)
    let (q, k, v) = (task.query, task.key, task.value)
    let y = q.isJoined ? [task.batch, q.rows, q.count * v.width] : [task.batch, q.count, q.rows, v.width]
    let shapes = try [
      Shape(checking: y), Shape(checking: [task.batch, k.count, k.rows, k.width]),
      Shape(checking: [task.batch, v.count, v.rows, v.width]),
      Shape(checking: [task.batch, q.count, q.rows, k.rows]),
    ]
    let wanted = request.wanted.lastIndex(of: true).map { $0 + 1 } ?? 1
    guard wanted <= 4 else { throw Failure(.unsupported, "output \(wanted - 1) is not supported") }
    return Step(
      inputs: request.standardLayouts, outputs: shapes.prefix(wanted).map { Operand(.float32, $0) },
      workspace: task.byteCount, run: task.run)
  }
}

/// Rows of all heads, in [batch, heads, rows, width] or, joined, in [batch, rows, heads × width].
struct AttentionHeads: Sendable {
  var count, rows, width: Int
  var isJoined: Bool

  init(_ shape: Shape, count: Int?, _ name: String) throws {
    switch shape.rank {
    case 4: (self.count, rows, width, isJoined) = (shape[1], shape[2], shape[3], false)
    case 3:
      guard let count, count > 0, shape[2] % count == 0 else {
        throw Failure(.invalidModel, "\(name) is \(shape); it needs a number of heads that divides its last axis")
      }
      (self.count, rows, width, isJoined) = (count, shape[1], shape[2] / count, true)
    default: throw Failure(.invalidModel, "\(name) is \(shape); expected rank 3 or 4")
    }
    guard shape.count > 0 else { throw Failure(.unsupported, "\(name) is \(shape): it is empty") }
  }

  /// The same heads and rows of another width.
  init(_ heads: AttentionHeads, width: Int) {
    (count, rows, isJoined) = (heads.count, heads.rows, heads.isJoined)
    self.width = width
  }

  /// These rows behind `past` others, not joined.
  func following(_ past: Int) -> AttentionHeads {
    var heads = self
    heads.rows += past
    heads.isJoined = false
    return heads
  }

  var rowStride: Int { isJoined ? count * width : width }

  func offset(batch: Int, head: Int) -> Int {
    isJoined ? (batch * rows * count + head) * width : (batch * count + head) * rows * width
  }
}

/// One call of Attention.
struct AttentionTask: Sendable {
  let batch: Int
  let query: AttentionHeads
  /// With those of earlier calls.
  let key, value: AttentionHeads
  private let past: Int
  private let newKey, newValue: AttentionHeads
  let mask: AttentionMask
  private let scale: Float
  private let softcap: Float
  /// Which stage of the scores output 3 shows: products, after softcap, after the mask, after softmax.
  private let shownStage: Int
  private let kernels: Kernels

  init(_ request: Request) throws {
    let node = request.node
    for i in 0..<3 { try request.require(i, .float32) }
    let shapes = try (0..<3).map { try request.input($0).shape }
    query = try AttentionHeads(shapes[0], count: node.int("q_num_heads"), "Q")
    newKey = try AttentionHeads(shapes[1], count: node.int("kv_num_heads"), "K")
    newValue = try AttentionHeads(shapes[2], count: node.int("kv_num_heads"), "V")
    batch = shapes[0][0]
    past = request.has(4) ? try request.input(4).shape.dimensions.dropFirst(2).first ?? 0 : 0
    guard shapes.allSatisfy({ $0[0] == shapes[0][0] && $0.rank == shapes[0].rank }), newKey.width == query.width,
      newKey.count == newValue.count, newKey.rows == newValue.rows, query.count % newKey.count == 0
    else { throw Failure(.invalidModel, "Q \(shapes[0]), K \(shapes[1]) and V \(shapes[2]) do not fit together") }
    key = newKey.following(past)
    value = newValue.following(past)
    guard request.has(4) == request.has(5) else {
      throw Failure(.invalidModel, "past keys and past values must come together")
    }
    for (i, heads) in [(4, newKey), (5, newValue)] where request.has(i) {
      try request.require(i, .float32)
      guard try request.input(i).shape == Shape(checking: [batch, heads.count, past, heads.width]) else {
        throw Failure(.invalidModel, "input \(i) is \(try request.input(i).shape); it does not fit K and V")
      }
    }
    mask = try AttentionMask(
      request, batch: batch, heads: query.count, queries: query.rows, keys: key.rows, past: past)
    scale = try node.float("scale", default: 1 / Float(query.width).squareRoot())
    softcap = try node.float("softcap", default: 0)
    shownStage = try node.int("qk_matmul_output_mode", default: 0)
    guard (0...3).contains(shownStage) else {
      throw Failure(.invalidModel, "qk_matmul_output_mode is \(shownStage); expected 0 to 3")
    }
    kernels = request.kernels
  }

  // MARK: Memory

  /// Offsets into the workspace, in floats: keys and values with the earlier ones before them, both packed for the
  /// products, and the scores.
  private struct Memory {
    let keys, values, packedKeys, packedValues, scores, end: Int
  }

  private var keyPacking: Packing { kernels.packing(depth: query.width, columns: key.rows, known: false) }
  private var valuePacking: Packing { kernels.packing(depth: key.rows, columns: value.width, known: false) }
  private var packedKeyCount: Int { (keyPacking.byteCount / 4).roundedUp(to: 16) }
  private var packedValueCount: Int { (valuePacking.byteCount / 4).roundedUp(to: 16) }

  /// All shapes are checked to be bounded before.
  private var memory: Memory {
    let heads = batch * key.count
    let values = (heads * key.rows * key.width).roundedUp(to: 16)
    let packedKeys = values + (heads * value.rows * value.width).roundedUp(to: 16)
    let packedValues = packedKeys + heads * packedKeyCount
    let scores = packedValues + heads * packedValueCount
    return Memory(
      keys: 0, values: values, packedKeys: packedKeys, packedValues: packedValues, scores: scores,
      end: scores + batch * query.count * query.rows * key.rows)
  }

  var byteCount: Int { 4 * memory.end }

  // MARK: Running

  func run(_ run: Invocation) {
    let floats = run.workspace.assumingMemoryBound(to: Float.self)
    let memory = memory
    let keys = run.outputs.count > 1 ? run.output(1) : floats + memory.keys
    let values = run.outputs.count > 2 ? run.output(2) : floats + memory.values
    run.parallel.forEach(batch * key.count) { range in
      for i in range {
        let (n, head) = (i / key.count, i % key.count)
        gather(newKey, from: run, 1, past: 4, n, head, into: keys + i * key.rows * key.width)
        gather(newValue, from: run, 2, past: 5, n, head, into: values + i * value.rows * value.width)
        kernels.pack(
          keys + i * key.rows * key.width, as: keyPacking, rowStride: 1, columnStride: key.width,
          into: floats + memory.packedKeys + i * packedKeyCount, .serial)
        kernels.pack(
          values + i * value.rows * value.width, as: valuePacking, rowStride: value.width, columnStride: 1,
          into: floats + memory.packedValues + i * packedValueCount, .serial)
      }
    }
    run.parallel.forEach(batch * query.count) { range in
      for i in range { attend(run, i / query.count, i % query.count, floats, memory) }
    }
  }

  /// The keys or values of one head, those of earlier calls first.
  private func gather(
    _ heads: AttentionHeads, from run: Invocation, _ input: Int, past earlier: Int, _ n: Int, _ head: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    let width = heads.width
    if past > 0 {
      let source: UnsafePointer<Float> = run.input(earlier)
      target.update(from: source + (n * heads.count + head) * past * width, count: past * width)
    }
    let source = run.input(input, as: Float.self) + heads.offset(batch: n, head: head)
    for row in 0..<heads.rows {
      (target + (past + row) * width).update(from: source + row * heads.rowStride, count: width)
    }
  }

  private func attend(
    _ run: Invocation, _ n: Int, _ head: Int, _ floats: UnsafeMutablePointer<Float>, _ memory: Memory
  ) {
    let keyHead = n * key.count + head / (query.count / key.count)
    let count = query.rows * key.rows
    let place = (n * query.count + head) * count
    let scores = floats + memory.scores + place
    let shown: UnsafeMutablePointer<Float>? = run.outputs.count > 3 ? run.output(3) + place : nil
    func show(_ stage: Int) { if stage == shownStage { shown?.update(from: scores, count: count) } }

    kernels.multiply(
      rows: query.rows, run.input(0) + query.offset(batch: n, head: head), stride: query.rowStride,
      floats + memory.packedKeys + keyHead * packedKeyCount, as: keyPacking, into: scores, stride: key.rows, .none,
      .serial)
    for i in 0..<count { scores[i] *= scale }
    show(0)
    if softcap != 0 { for i in 0..<count { scores[i] = softcap * tanhf(scores[i] / softcap) } }
    show(1)
    var blind: [Int] = []
    for i in 0..<query.rows
    where !mask.add(to: scores + i * key.rows, keys: key.rows, run, batch: n, head: head, query: i) {
      blind.append(i)
    }
    show(2)
    kernels.softmax(outer: query.rows, axis: key.rows, inner: 1, scores, into: scores, log: false, .serial)
    // A query that sees no key gets nothing.
    for i in blind { (scores + i * key.rows).update(repeating: 0, count: key.rows) }
    show(3)
    let output = AttentionHeads(query, width: value.width)
    kernels.multiply(
      rows: query.rows, scores, stride: key.rows,
      floats + memory.packedValues + keyHead * packedValueCount, as: valuePacking,
      into: run.output() + output.offset(batch: n, head: head), stride: output.rowStride, .none, .serial)
  }
}
