import Kernels
import Parallel
import Tensors

/// One direction of a recurrent operator. Equations and the order of gates as in the ONNX specification.
struct RecurrentCell: Sendable {
  private typealias Buffer = UnsafeMutablePointer<Float>
  private let s: Recurrent.Settings
  private let width: Int
  private let fromInputs, fromStates: GateProduct
  /// GRU: of the candidate alone, where that sees the state behind the reset gate.
  private let fromResetStates: GateProduct?

  init(_ settings: Recurrent.Settings, _ request: Request) throws {
    s = settings
    width = settings.kind.gates * settings.hidden
    func product(_ input: Int, _ depth: Int, _ columns: Range<Int>) throws -> GateProduct {
      try GateProduct(
        request, input: input, depth: depth, width: settings.kind.gates * settings.hidden, columns: columns,
        directions: settings.directions.count)
    }
    fromInputs = try product(1, settings.input, 0..<width)
    let advancesTwice = settings.kind == .gated && !settings.resetsLate
    fromStates = try product(2, settings.hidden, 0..<(advancesTwice ? 2 * settings.hidden : width))
    fromResetStates = advancesTwice ? try product(2, settings.hidden, 2 * settings.hidden..<width) : nil
  }

  /// Inputs that runs do without.
  var taken: Set<Int> { Set([(1, fromInputs), (2, fromStates)].filter(\.1.isPacked).map(\.0)) }

  /// Floats of one state [batch, hidden].
  private var state: Int { s.batch * s.hidden }

  /// Bytes, of the products of one step.
  private var productScratch: Int {
    max(fromStates.serialScratch(rows: s.batch), fromResetStates?.serialScratch(rows: s.batch) ?? 0)
      .roundedUp(to: 64)
  }

  /// Bytes: of the products of one step, what the input adds to the gates [time, batch, gates], what the state adds
  /// [batch, gates], the states h and c, the state after the reset gate, and x by time where it comes by batch.
  func workspace() throws -> Int {
    let shape = try Shape(checking: [s.time + 1, s.batch, width])
    let input = try Shape(checking: [s.batchFirst ? s.time : 0, s.batch, s.input])
    return productScratch + 4 * (shape.count + 3 * state + input.count)
  }

  func run(_ run: Invocation, _ direction: Int) throws {
    if s.batch == 0 || s.hidden == 0 { return }
    let memory = run.workspace
    let fromInput = (memory + productScratch).assumingMemoryBound(to: Float.self)
    let fromState = fromInput + s.time * s.batch * width
    let h = fromState + s.batch * width
    let c = h + state
    let scratch = c + state
    load(run, 5, s.hasHidden, direction, into: h)
    load(run, 6, s.hasCell, direction, into: c)

    let x = inTimeOrder(run, scratch + state)
    let bias: UnsafePointer<Float>? = s.hasBias ? run.input(3) + direction * 2 * width : nil
    fromInputs.run(run, direction, rows: s.time * s.batch, x, bias: bias, into: fromInput, run.parallel)
    let lengths = try lengths(run)
    let stateBias = bias.map { $0 + width }
    for step in 0..<s.time {
      // The products of all sequences together read the weights once; of those that have ended nothing is kept.
      func forEachSequence(_ body: (_ b: Int, _ t: Int, _ gates: Buffer) -> Void) {
        for b in 0..<s.batch where step < lengths[b] {
          let t = s.directions[direction] ? lengths[b] - 1 - step : step
          body(b, t, fromInput + (t * s.batch + b) * width)
        }
      }
      fromStates.run(run, direction, rows: s.batch, h, bias: stateBias, into: fromState, memory: memory, .serial)
      if let fromResetStates {
        forEachSequence { b, _, gates in
          reset(direction, gates, fromState + b * width, h + b * s.hidden, into: scratch + b * s.hidden)
        }
        fromResetStates.run(
          run, direction, rows: s.batch, scratch, bias: stateBias, into: fromState, memory: memory, .serial)
      }
      forEachSequence { b, t, gates in
        let h = h + b * s.hidden
        switch s.kind {
        case .plain:
          add(fromState + b * width, to: gates, s.hidden)
          activate(gates, direction, 0)
          h.update(from: gates, count: s.hidden)
        case .gated: advanceGated(direction, gates, fromState + b * width, h)
        case .memory: advanceMemory(run, direction, gates, fromState + b * width, h, c + b * s.hidden)
        }
        store(run, direction, h, t, b)
      }
    }
    finish(run, direction, h, c, lengths)
  }

  // MARK: Operands

  private func load(_ run: Invocation, _ i: Int, _ isThere: Bool, _ direction: Int, into target: Buffer) {
    guard isThere else { return target.update(repeating: 0, count: state) }
    for b in 0..<s.batch {
      (target + b * s.hidden).update(from: run.input(i) + place(direction, b) * s.hidden, count: s.hidden)
    }
  }

  /// The row of a state [directions, batch, hidden], or [batch, directions, hidden].
  private func place(_ direction: Int, _ b: Int) -> Int {
    s.batchFirst ? b * s.directions.count + direction : direction * s.batch + b
  }

  private func inTimeOrder(_ run: Invocation, _ target: Buffer) -> UnsafePointer<Float> {
    guard s.batchFirst else { return run.input(0) }
    s.kernels.permute(
      run.input(0, as: Float.self), shape: [s.batch, s.time, s.input], permutation: [1, 0, 2], elementSize: 4,
      into: target, run.parallel)
    return UnsafePointer(target)
  }

  private func lengths(_ run: Invocation) throws -> [Int] {
    guard s.hasLengths else { return [Int](repeating: s.time, count: s.batch) }
    let given: UnsafePointer<Int32> = run.input(4)
    return try (0..<s.batch).map { b in
      guard given[b] >= 0, given[b] <= s.time else {
        throw Failure(.invalidModel, "a sequence of length \(given[b]) in an input of length \(s.time)")
      }
      return Int(given[b])
    }
  }

  private func store(_ run: Invocation, _ direction: Int, _ h: Buffer, _ t: Int, _ b: Int) {
    let count = s.directions.count
    let row = s.batchFirst ? (b * s.time + t) * count + direction : (t * count + direction) * s.batch + b
    (run.output(0) + row * s.hidden).update(from: h, count: s.hidden)
  }

  /// Zeros behind the ends of the sequences, and the last states.
  private func finish(_ run: Invocation, _ direction: Int, _ h: Buffer, _ c: Buffer, _ lengths: [Int]) {
    let zeros = c + state
    zeros.update(repeating: 0, count: s.hidden)
    for b in 0..<s.batch {
      for t in lengths[b]..<s.time { store(run, direction, zeros, t, b) }
      let row = place(direction, b) * s.hidden
      (run.output(1) + row).update(from: h + b * s.hidden, count: s.hidden)
      if s.kind == .memory { (run.output(2) + row).update(from: c + b * s.hidden, count: s.hidden) }
    }
  }

  // MARK: One step of one sequence

  /// GRU; gates z, r, h. What the candidate sees of the state, where that is multiplied by the weights afterwards.
  private func reset(_ direction: Int, _ gates: Buffer, _ fromState: Buffer, _ h: Buffer, into scratch: Buffer) {
    let n = s.hidden
    let reset = gates + n
    openGates(direction, gates, fromState)
    for i in 0..<n { scratch[i] = reset[i] * h[i] }
  }

  private func openGates(_ direction: Int, _ gates: Buffer, _ fromState: Buffer) {
    add(fromState, to: gates, 2 * s.hidden)
    activate(gates, direction, 0, gates: 2)
  }

  private func advanceGated(_ direction: Int, _ gates: Buffer, _ fromState: Buffer, _ h: Buffer) {
    let n = s.hidden
    let (update, reset, candidate) = (gates, gates + n, gates + 2 * n)
    if s.resetsLate {
      openGates(direction, gates, fromState)
      for i in 0..<n { candidate[i] += reset[i] * fromState[2 * n + i] }
    } else {
      add(fromState + 2 * n, to: candidate, n)
    }
    activate(candidate, direction, 1)
    for i in 0..<n { h[i] = (1 - update[i]) * candidate[i] + update[i] * h[i] }
  }

  /// LSTM; gates i, o, f, c; peepholes i, o, f.
  private func advanceMemory(
    _ run: Invocation, _ direction: Int, _ gates: Buffer, _ fromState: Buffer, _ h: Buffer, _ c: Buffer
  ) {
    let n = s.hidden
    let peepholes: UnsafePointer<Float>? = s.hasPeepholes ? run.input(7) + direction * 3 * n : nil
    let (input, output, forget, candidate) = (gates, gates + n, gates + 2 * n, gates + 3 * n)
    add(fromState, to: gates, 4 * n)
    if let peepholes {
      for i in 0..<n {
        input[i] += peepholes[i] * c[i]
        forget[i] += peepholes[2 * n + i] * c[i]
      }
    }
    if peepholes == nil {
      activate(input, direction, 0, gates: 3)
    } else {
      activate(input, direction, 0)
      activate(forget, direction, 0)
    }
    activate(candidate, direction, 1)
    for i in 0..<n { c[i] = (s.couplesForget ? 1 - input[i] : forget[i]) * c[i] + input[i] * candidate[i] }
    if let peepholes {
      for i in 0..<n { output[i] += peepholes[n + i] * c[i] }
      activate(output, direction, 0)
    }
    // The gates are not needed any more, so the activated cell state goes there.
    s.kernels.unary(s.activations[direction][2], c, into: candidate, count: n, .serial)
    for i in 0..<n { h[i] = output[i] * candidate[i] }
  }

  private func add(_ summand: Buffer, to target: Buffer, _ count: Int) {
    for i in 0..<count { target[i] += summand[i] }
  }

  private func activate(_ values: Buffer, _ direction: Int, _ which: Int, gates: Int = 1) {
    let count = gates * s.hidden
    if let clip = s.clip { s.kernels.unary(.clip(-clip, clip), values, into: values, count: count, .serial) }
    s.kernels.unary(s.activations[direction][which], values, into: values, count: count, .serial)
  }
}
