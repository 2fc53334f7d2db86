import Graph
import Kernels
import Tensors

/// RNN, GRU and LSTM.
enum Recurrent {
  static let definitions = [
    OperatorDefinition("RNN") { try plan($0, .plain) }.gradient(RecurrentExpansion.rule(.plain)),
    OperatorDefinition("GRU") { try plan($0, .gated) }.gradient(RecurrentExpansion.rule(.gated)),
    OperatorDefinition("LSTM") { try plan($0, .memory) }.gradient(RecurrentExpansion.rule(.memory)),
  ]

  enum Kind {
    case plain, gated, memory

    var gates: Int {
      switch self {
      case .plain: 1
      case .gated: 3
      case .memory: 4
      }
    }

    var activations: [String] {
      switch self {
      case .plain: ["Tanh"]
      case .gated: ["Sigmoid", "Tanh"]
      case .memory: ["Sigmoid", "Tanh", "Tanh"]
      }
    }
  }

  /// Sizes, attributes and which optional inputs are there. Inputs: 0 x, 1 w, 2 r, 3 b, 4 lengths, 5 initial h,
  /// 6 initial c, 7 peepholes.
  struct Settings: Sendable {
    let kind: Kind
    /// x [time, batch, input], or [batch, time, input] with `batchFirst`.
    let time, batch, input, hidden: Int
    let batchFirst: Bool
    /// Whether each direction runs backward.
    let directions: [Bool]
    /// By direction, then in the order of the operator.
    let activations: [[Kernels.Unary]]
    let clip: Float?
    /// GRU: the reset gate is applied after the product with the recurrent weights.
    let resetsLate: Bool
    /// LSTM: one gate decides both on input and on forgetting.
    let couplesForget: Bool
    let hasBias, hasLengths, hasHidden, hasCell, hasPeepholes: Bool
    let kernels: Kernels
  }

  private static func plan(_ request: Request, _ kind: Kind) throws -> Step {
    let settings = try settings(request, kind)
    let (time, batch, hidden) = (settings.time, settings.batch, settings.hidden)
    let count = settings.directions.count
    let sequence = settings.batchFirst ? [batch, time, count, hidden] : [time, count, batch, hidden]
    let last = settings.batchFirst ? [batch, count, hidden] : [count, batch, hidden]
    let outputs = try [sequence, last, last].prefix(kind == .memory ? 3 : 2).map {
      Operand(.float32, try Shape(checking: $0))
    }
    let cell = try RecurrentCell(settings, request)
    return Step(
      inputs: request.standardLayouts, outputs: outputs, workspace: try cell.workspace(), taken: cell.taken
    ) { run in
      for direction in 0..<count { try cell.run(run, direction) }
    }
  }

  static func settings(_ request: Request, _ kind: Kind) throws -> Settings {
    for i in [0, 1, 2, 3, 5, 6, 7] where request.has(i) { try request.require(i, .float32) }
    let node = request.node
    let (x, w, r) = (try request.input(0).shape, try request.input(1).shape, try request.input(2).shape)
    let batchFirst = try node.flag("layout")
    let direction = try node.string("direction", default: "forward")
    guard let directions = ["forward": [false], "reverse": [true], "bidirectional": [false, true]][direction] else {
      throw Failure(.invalidModel, "direction is \(quoted(direction)); expected forward, reverse or bidirectional")
    }
    guard x.rank == 3, w.rank == 3, r.rank == 3 else {
      throw Failure(.invalidModel, "x \(x), w \(w), r \(r); expected three axes each")
    }
    let (hidden, count) = (r[2], directions.count)
    let (time, batch) = batchFirst ? (x[1], x[0]) : (x[0], x[1])
    let state = batchFirst ? [batch, count, hidden] : [count, batch, hidden]
    let gates = try Shape(checking: [count, kind.gates, hidden])
    let expected: [Int: [Int]] = [
      1: [count, gates[1] * hidden, x[2]], 2: [count, gates[1] * hidden, hidden], 3: [count, 2 * gates[1] * hidden],
      4: [batch], 5: state, 6: state, 7: [count, 3 * hidden],
    ]
    for (i, shape) in expected.sorted(by: { $0.key < $1.key }) where request.has(i) {
      let found = try request.input(i).shape
      guard found.dimensions == shape else {
        throw Failure(.invalidModel, "input \(i) has shape \(found); expected \(shape)")
      }
    }
    if let declared = try node.int("hidden_size"), declared != hidden {
      throw Failure(.invalidModel, "hidden_size is \(declared), but r has shape \(r)")
    }
    if request.has(4) { try request.require(4, .int32) }
    return Settings(
      kind: kind, time: time, batch: batch, input: x[2], hidden: hidden, batchFirst: batchFirst,
      directions: directions, activations: try activations(node, kind, count), clip: try node.float("clip"),
      resetsLate: try node.flag("linear_before_reset"), couplesForget: try node.flag("input_forget"),
      hasBias: request.has(3), hasLengths: request.has(4), hasHidden: request.has(5), hasCell: request.has(6),
      hasPeepholes: request.has(7), kernels: request.kernels)
  }

  private static func activations(_ node: Node, _ kind: Kind, _ directions: Int) throws -> [[Kernels.Unary]] {
    try activationCalls(node, kind, directions).map { calls in
      try calls.map { call in
        try Activation(call.name, of: Node(call.name, inputs: [], outputs: [], attributes: call.attributes)).function
      }
    }
  }

  /// By direction, the operator and attributes that each activation would be as a node.
  static func activationCalls(
    _ node: Node, _ kind: Kind, _ directions: Int
  ) throws -> [[(name: String, attributes: [String: Attribute])]] {
    let each = kind.activations.count
    let names = try node.strings("activations") ?? (0..<directions).flatMap { _ in kind.activations }
    guard names.count == each * directions else {
      throw Failure(.invalidModel, "\(names.count) activations; expected \(each * directions)")
    }
    // Only the activations that have parameters take from these lists.
    var alphas = try node.floats("activation_alpha") ?? []
    var betas = try node.floats("activation_beta") ?? []
    let calls = names.map { name in
      var attributes: [String: Attribute] = [:]
      let parameters = Activation.parameterNames(name)
      if let key = parameters.first, !alphas.isEmpty { attributes[key] = .float(alphas.removeFirst()) }
      if parameters.count > 1, !betas.isEmpty { attributes[parameters[1]] = .float(betas.removeFirst()) }
      return (name: name, attributes: attributes)
    }
    return (0..<directions).map { Array(calls[$0 * each..<($0 + 1) * each]) }
  }
}
