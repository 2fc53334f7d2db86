import Graph
import Tensors

/// Attention written out in products and a softmax, for its gradients.
enum AttentionGradient {
  static let rule = GradientRule.decomposed { e, node in
    let task = try AttentionTask(e.request(node))
    let (query, key, value) = (task.query, task.key, task.value)
    let q = try separated(&e, e.input(node, 0), query)
    let (k, v) = (try whole(&e, node, 1, past: 4, key), try whole(&e, node, 2, past: 5, value))
    let repeats = query.count / key.count
    let (keys, values) = (try repeated(&e, k, repeats), try repeated(&e, v, repeats))

    let scale = try node.float("scale", default: 1 / Float(query.width).squareRoot())
    let products = try e.scaled(e("MatMul", q, e.transposed(keys)), by: scale)
    let softcap = try node.float("softcap", default: 0)
    let capped =
      softcap == 0
      ? products : try e.scaled(e("Tanh", e.scaled(products, by: 1 / softcap)), by: softcap)
    let (masked, visible) = try mask(&e, node, task, capped)
    var weights: ValueID
    if let visible {
      // A finite number instead of −∞, so that a query that sees no key has no NaN in its gradient.
      weights = try e(
        "Softmax", e.pick(visible, masked, else: e.constant(Float(-1e30))), attributes: ["axis": .int(-1)])
      weights = try e.pick(visible, weights, else: e.constant(Float(0)))
    } else {
      weights = try e("Softmax", masked, attributes: ["axis": .int(-1)])
    }
    var y = try e("MatMul", weights, values)
    if query.isJoined {
      y = try e.reshape(e.transpose(y, [0, 2, 1, 3]), [task.batch, query.rows, query.count * value.width])
    }
    let stages = [products, capped, masked, weights]
    return [y, k, v, stages[try node.int("qk_matmul_output_mode", default: 0)]]
  }

  /// [batch, heads, rows, width]
  private static func separated(_ e: inout Emitter, _ value: ValueID, _ heads: AttentionHeads) throws -> ValueID {
    guard heads.isJoined else { return value }
    let batch = try e.shape(value)[0]
    return try e.transpose(e.reshape(value, [batch, heads.rows, heads.count, heads.width]), [0, 2, 1, 3])
  }

  /// Keys or values, those of earlier calls first. `all` are the heads with them.
  private static func whole(
    _ e: inout Emitter, _ node: Node, _ i: Int, past earlier: Int, _ all: AttentionHeads
  ) throws -> ValueID {
    let value = try e.input(node, i)
    let past = node.input(earlier) != nil ? try e.shape(e.input(node, earlier))[2] : 0
    var own = all
    own.rows -= past
    own.isJoined = try e.shape(value).count == 3
    let separate = try separated(&e, value, own)
    guard past > 0 else { return separate }
    return try e("Concat", e.input(node, earlier), separate, attributes: ["axis": .int(2)])
  }

  /// Each head as often as query heads share it.
  private static func repeated(_ e: inout Emitter, _ value: ValueID, _ count: Int) throws -> ValueID {
    if count == 1 { return value }
    let s = try e.shape(value)
    let wide = try e.expand(e.reshape(value, [s[0], s[1], 1, s[2], s[3]]), [s[0], s[1], count, s[2], s[3]])
    return try e.reshape(wide, [s[0], s[1] * count, s[2], s[3]])
  }

  /// The scores with the mask added, and which of them count; nil: all.
  private static func mask(
    _ e: inout Emitter, _ node: Node, _ task: AttentionTask, _ scores: ValueID
  ) throws -> (scores: ValueID, visible: ValueID?) {
    let keys = task.key.rows
    var conditions: [ValueID] = []
    if let places = try task.mask.places(batch: task.batch, keys: keys, lengths: e.constant(node, 6)?.integers()) {
      conditions.append(e.constant(places))
    }
    var scores = scores
    if let given = node.input(3) {
      let shape = try e.shape(given)
      // What the mask does not cover is not seen.
      let missing = keys - (shape.last ?? keys)
      let pads = try e.constant([Int](repeating: 0, count: 2 * shape.count - 1) + [missing])
      func covering(_ e: inout Emitter, _ value: ValueID) throws -> ValueID {
        missing == 0 ? value : try e("Pad", value, pads)
      }
      if try e.operand(given).type == .bool {
        conditions.append(try covering(&e, given))
      } else {
        conditions.append(try covering(&e, e("Greater", given, e.constant(-Float.infinity))))
        scores = try e.add(scores, covering(&e, given))
      }
    }
    guard let first = conditions.first else { return (scores, nil) }
    return (scores, try conditions.dropFirst().reduce(first) { try e("And", $0, $1) })
  }
}
