import Glibc
import Graph
import Kernels
import Tensors

/// What is added to the scores of a query, and which keys it may see.
struct AttentionMask: Sendable {
  private let input: Operand?
  /// From one batch, head and query to the next; 0 where they share a row of the mask.
  private var strides = (batch: 0, head: 0, query: 0)
  private let isCausal: Bool
  private let left, right: Int?
  private let hasLengths: Bool
  private let past, queries: Int

  init(_ request: Request, batch: Int, heads: Int, queries: Int, keys: Int, past: Int) throws {
    (self.past, self.queries) = (past, queries)
    isCausal = try request.node.flag("is_causal")
    func window(_ key: String) throws -> Int? {
      let size = try request.node.int(key, default: -1)
      return size < 0 ? nil : min(size, keys + queries)
    }
    left = try window("left_window_size")
    right = try window("right_window_size")
    hasLengths = request.has(6)
    if hasLengths {
      try request.require(6, .int64)
      guard try request.input(6).shape.count == batch else {
        throw Failure(.invalidModel, "nonpad_kv_seqlen must have \(batch) elements")
      }
    }
    input = request.has(3) ? try request.input(3) : nil
    guard let shape = input?.shape else { return }
    try request.require(3, .float32, .bool)
    let extents = [Int](repeating: 1, count: max(0, 4 - shape.rank)) + shape.dimensions
    guard shape.rank >= 1, extents.count == 4, extents[3] <= keys,
      zip(extents, [batch, heads, queries]).allSatisfy({ $0 == 1 || $0 == $1 })
    else {
      throw Failure(.invalidModel, "a mask \(shape) for scores of [\(batch)×\(heads)×\(queries)×\(keys)]")
    }
    strides.query = extents[2] == 1 ? 0 : extents[3]
    strides.head = extents[1] == 1 ? 0 : extents[2] * extents[3]
    strides.batch = extents[0] == 1 ? 0 : extents[1] * extents[2] * extents[3]
  }

  /// Truth values [batch or 1, 1, queries, keys]: what may be seen as far as positions tell; nil where that is all.
  func places(batch: Int, keys: Int, lengths: [Int]?) throws -> Tensor? {
    guard isCausal || left != nil || right != nil || lengths != nil else { return nil }
    let count = lengths == nil ? 1 : batch
    var table: [UInt8] = []
    for n in 0..<count {
      for query in 0..<queries {
        let visible = visible(query, keys: keys, length: lengths?[n])
        table += (0..<keys).map { visible.contains($0) ? 1 : 0 }
      }
    }
    return try Tensor(table, .bool, Shape(checking: [count, 1, queries, keys]))
  }

  private func visible(_ run: Invocation, _ batch: Int, _ query: Int, keys: Int) -> Range<Int> {
    visible(query, keys: keys, length: hasLengths ? Int(clamping: run.input(6, as: Int64.self)[batch]) : nil)
  }

  /// The keys that a query may see as far as positions tell, of a sequence of `length` keys.
  private func visible(_ query: Int, keys: Int, length: Int?) -> Range<Int> {
    var end = keys
    var before = past
    if let length {
      end = min(max(length, 0), keys)
      before = end - queries
    }
    let place = query + before
    if isCausal { end = min(end, place + 1) }
    if let right { end = min(end, place + right + 1) }
    let start = left.map { max(0, place - $0) } ?? 0
    return start..<max(start, end)
  }

  /// Returns whether the query may see any key.
  func add(
    to scores: UnsafeMutablePointer<Float>, keys: Int, _ run: Invocation, batch: Int, head: Int, query: Int
  ) -> Bool {
    let visible = visible(run, batch, query, keys: keys)
    let covered = input.map { $0.shape.dimensions[$0.shape.rank - 1] } ?? keys
    let start = batch * strides.batch + head * strides.head + query * strides.query
    var isSeeing = false
    for key in 0..<keys {
      var bias = visible.contains(key) && key < covered ? Float(0) : -.infinity
      if bias == 0, let input {
        if input.type == .bool {
          if run.input(3, as: UInt8.self)[start + key] == 0 { bias = -.infinity }
        } else {
          bias = run.input(3, as: Float.self)[start + key]
        }
      }
      scores[key] += bias
      isSeeing = isSeeing || bias > -.infinity
    }
    return isSeeing
  }
}
