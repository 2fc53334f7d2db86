import Graph
import Tensors

/// RNN, GRU and LSTM written out step by step, for their gradients. Equations as in the ONNX specification.
struct RecurrentExpansion {
  private let s: Recurrent.Settings
  private let node: Node
  /// By direction, then in the order of the operator.
  private let activations: [[(name: String, attributes: [String: Attribute])]]

  private static let mostSteps = 2048

  static func rule(_ kind: Recurrent.Kind) -> GradientRule {
    .decomposed { e, node in
      let settings = try Recurrent.settings(e.request(node), kind)
      let steps = settings.time * settings.directions.count
      // Each step is some sixty nodes, forward and backward: 2,048 steps are planned in three seconds.
      guard steps <= mostSteps else {
        throw Failure(.unsupported, "its gradient is supported for up to \(mostSteps) steps; here are \(steps)")
      }
      return try RecurrentExpansion(settings, node).emit(&e)
    }
  }

  private init(_ settings: Recurrent.Settings, _ node: Node) throws {
    s = settings
    self.node = node
    activations = try Recurrent.activationCalls(node, settings.kind, settings.directions.count)
  }

  private var width: Int { s.kind.gates * s.hidden }

  private func emit(_ e: inout Emitter) throws -> [ValueID?] {
    let given = try e.input(node, 0)
    let x = s.batchFirst ? try e.transpose(given, [1, 0, 2]) : given
    var sequences: [ValueID?] = []
    var lastHidden: [ValueID?] = []
    var lastCells: [ValueID?] = []
    for direction in s.directions.indices {
      let (sequence, h, c) = try emit(&e, direction, x)
      sequences.append(sequence)
      lastHidden.append(h)
      lastCells.append(c)
    }
    // [time, directions, batch, hidden] and [directions, batch, hidden], or with the batch first.
    func joined(_ e: inout Emitter, _ parts: [ValueID?], axis: Int, _ batchFirst: [Int]) throws -> ValueID {
      let all = try e.add("Concat", parts, outputs: 1, attributes: ["axis": .int(axis)])[0]
      return s.batchFirst ? try e.transpose(all, batchFirst) : all
    }
    let results = [
      try joined(&e, sequences, axis: 1, [2, 0, 1, 3]), try joined(&e, lastHidden, axis: 0, [1, 0, 2]),
    ]
    return s.kind == .memory ? results + [try joined(&e, lastCells, axis: 0, [1, 0, 2])] : results
  }

  /// One direction: [time, 1, batch, hidden] and the last states [1, batch, hidden].
  private func emit(
    _ e: inout Emitter, _ direction: Int, _ x: ValueID
  ) throws -> (sequence: ValueID, hidden: ValueID, cell: ValueID) {
    let weights = try e.transpose(part(&e, 1, direction, [width, s.input]), [1, 0])
    let recurrent = try e.transpose(part(&e, 2, direction, [width, s.hidden]), [1, 0])
    let biases = s.hasBias ? try halves(&e, part(&e, 3, direction, [2 * width])) : nil
    var all = try e("MatMul", e.reshape(x, [s.time * s.batch, s.input]), weights)
    if let biases { all = try e.add(all, biases[0]) }
    let steps = try split(&e, e.reshape(all, [s.time, s.batch, width]), axis: 0, into: s.time)
    // A GRU's gates are multiplied apart, by the same weights in each step.
    let parts = s.kind == .gated ? 3 : 1
    var cell = Cell(
      recurrent: parts == 1 ? [recurrent] : try split(&e, recurrent, axis: 1, into: parts),
      bias: try biases.map { parts == 1 ? [$0[1]] : try split(&e, $0[1], axis: 0, into: parts) },
      peepholes: s.hasPeepholes ? try split(&e, part(&e, 7, direction, [3 * s.hidden]), axis: 0, into: 3) : nil,
      h: try state(&e, 5, s.hasHidden, direction), c: try state(&e, 6, s.hasCell, direction))
    var results = [ValueID?](repeating: nil, count: s.time)
    for t in s.directions[direction] ? Array((0..<s.time).reversed()) : Array(0..<s.time) {
      let gates = try e.reshape(steps[t], [s.batch, width])
      var (h, c) = try advance(&e, cell, gates, direction)
      var shown = h
      if s.hasLengths {
        // Behind its end a sequence keeps its state, and shows zeros. A backward one has not begun there.
        let number = e.constant(try Tensor([Int32(t)], .int32, [1, 1]))
        let isInside = try e("Less", number, e.reshape(e.input(node, 4), [s.batch, 1]))
        shown = try e.pick(isInside, h, else: e.constant(Float(0)))
        h = try e.pick(isInside, h, else: cell.h)
        c = try e.pick(isInside, c, else: cell.c)
      }
      (cell.h, cell.c) = (h, c)
      results[t] = try e.reshape(shown, [1, 1, s.batch, s.hidden])
    }
    let sequence =
      results.isEmpty
      ? try e.zeros(of: [0, 1, s.batch, s.hidden])
      : try e.add("Concat", results, outputs: 1, attributes: ["axis": .int(0)])[0]
    let last = [1, s.batch, s.hidden]
    return (sequence, try e.reshape(cell.h, last), try e.reshape(cell.c, last))
  }

  // MARK: One step

  private struct Cell {
    /// Of all gates together; of a GRU's gates one by one.
    let recurrent: [ValueID]
    let bias: [ValueID]?
    /// Of the gates i, o, f.
    let peepholes: [ValueID]?
    /// [batch, hidden] each.
    var h, c: ValueID
  }

  private func advance(
    _ e: inout Emitter, _ cell: Cell, _ gates: ValueID, _ direction: Int
  ) throws -> (h: ValueID, c: ValueID) {
    func activated(_ e: inout Emitter, _ which: Int, _ value: ValueID, clipping: Bool = true) throws -> ValueID {
      var value = value
      if clipping, let clip = s.clip { value = try e("Clip", value, e.constant(-clip), e.constant(clip)) }
      let call = activations[direction][which]
      return try e(call.name, value, attributes: call.attributes)
    }
    func fromState(_ e: inout Emitter, _ h: ValueID, _ weights: ValueID, _ bias: ValueID?) throws -> ValueID {
      let product = try e("MatMul", h, weights)
      return try bias.map { try e.add(product, $0) } ?? product
    }
    switch s.kind {
    case .plain:
      return (try activated(&e, 0, e.add(gates, fromState(&e, cell.h, cell.recurrent[0], cell.bias?[0]))), cell.c)
    case .gated:
      let input = try split(&e, gates, axis: 1, into: 3)
      let (weights, bias) = (cell.recurrent, cell.bias)
      let update = try activated(&e, 0, e.add(input[0], fromState(&e, cell.h, weights[0], bias?[0])))
      let reset = try activated(&e, 0, e.add(input[1], fromState(&e, cell.h, weights[1], bias?[1])))
      let past =
        s.resetsLate
        ? try e.multiply(reset, fromState(&e, cell.h, weights[2], bias?[2]))
        : try fromState(&e, e.multiply(reset, cell.h), weights[2], bias?[2])
      let candidate = try activated(&e, 1, e.add(input[2], past))
      return (try e.add(e.multiply(e.oneMinus(update), candidate), e.multiply(update, cell.h)), cell.c)
    case .memory:
      var gate = try split(&e, e.add(gates, fromState(&e, cell.h, cell.recurrent[0], cell.bias?[0])), axis: 1, into: 4)
      if let peepholes = cell.peepholes {
        gate[0] = try e.add(gate[0], e.multiply(peepholes[0], cell.c))
        gate[2] = try e.add(gate[2], e.multiply(peepholes[2], cell.c))
      }
      let input = try activated(&e, 0, gate[0])
      let forget = s.couplesForget ? try e.oneMinus(input) : try activated(&e, 0, gate[2])
      let c = try e.add(e.multiply(forget, cell.c), e.multiply(input, activated(&e, 1, gate[3])))
      if let peepholes = cell.peepholes { gate[1] = try e.add(gate[1], e.multiply(peepholes[1], c)) }
      return (try e.multiply(activated(&e, 0, gate[1]), activated(&e, 2, c, clipping: false)), c)
    }
  }

  // MARK: Operands

  /// Input `i` of one direction, without the axis of directions.
  private func part(_ e: inout Emitter, _ i: Int, _ direction: Int, _ shape: [Int]) throws -> ValueID {
    let value = try e.input(node, i)
    let own = try e("Slice", value, e.constant([direction]), e.constant([direction + 1]), e.constant([0]))
    return try e.reshape(own, shape)
  }

  private func halves(_ e: inout Emitter, _ value: ValueID) throws -> [ValueID] {
    try split(&e, value, axis: 0, into: 2)
  }

  private func split(_ e: inout Emitter, _ value: ValueID, axis: Int, into count: Int) throws -> [ValueID] {
    if count == 0 { return [] }
    return try e.add(
      "Split", [value], outputs: count, attributes: ["axis": .int(axis), "num_outputs": .int(count)])
  }

  private func state(_ e: inout Emitter, _ i: Int, _ isThere: Bool, _ direction: Int) throws -> ValueID {
    guard isThere else { return try e.zeros(of: [s.batch, s.hidden]) }
    let value = s.batchFirst ? try e.transpose(e.input(node, i), [1, 0, 2]) : try e.input(node, i)
    let own = try e("Slice", value, e.constant([direction]), e.constant([direction + 1]), e.constant([0]))
    return try e.reshape(own, [s.batch, s.hidden])
  }
}
