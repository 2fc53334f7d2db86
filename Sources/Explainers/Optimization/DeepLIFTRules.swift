import Graph
import Operators
import Tensors
import Transforms

/// DeepLIFT's rescale rule (Shrikumar, Greenside & Kundaje, ICML 2017) as a table of gradient rules, for graphs that
/// run an image and its baseline together, the one in the first half of each value's first axis.
///
/// Behind a nonlinearity the gradient is times Δout/Δin, the differences between the two, and where |Δin| < 1e-10 the
/// plain one. Products of two values that both vary share the difference. All else has its derivative.
struct DeepLIFTRules {
  /// The values whose first axis counts image and baseline.
  let paired: Set<ValueID>
  /// Nodes, by their first output, that are given their derivative as Captum gives it to them.
  let plain: Set<ValueID>
  let splitsProducts: Bool

  private static let smallest: Float = 1e-10
  private static let rescaled = ["Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus"]

  var table: GradientRules {
    var overrides: [String: GradientRule] = [:]
    for operation in Self.rescaled { overrides[operation] = rule(operation, rescale) }
    overrides["MaxPool"] = rule("MaxPool", pool)
    if splitsProducts { overrides["Mul"] = rule("Mul", product) }
    // What was made for other plain nodes is another pass.
    let name = plain.map(\.index).sorted().map(String.init).joined(separator: ",")
    return GradientRules("DeepLIFT \(splitsProducts) \(name)", overriding: overrides)
  }

  /// Of the gradient of a node's output; `usual` are the derivatives. nil: those.
  private typealias Own = @Sendable (inout Emitter, Node, ValueID, _ usual: [ValueID?]) throws -> [ValueID?]?

  /// `own` where it fits the node, else its derivative.
  private func rule(
    _ operation: String, _ own: @escaping Own
  ) -> GradientRule {
    .emitted { e, node, gradients in
      guard case .emitted(let derivative)? = Operators.definition(operation, domain: "")?.gradient else {
        throw Failure(.internal, "\(operation) has no derivative")
      }
      let usual = try derivative(&e, node, gradients)
      guard let gradient = gradients.first ?? nil, let output = node.output(0), paired.contains(output),
        !plain.contains(output)
      else { return usual }
      return try own(&e, node, gradient, usual) ?? usual
    }
  }

  private let rescale: Own = { e, node, dy, usual in
    let x = try e.input(node, 0)
    let shape = try e.shape(x)
    guard let usual = usual[0] else { return nil }
    let (input, output) = (try e.difference(x), try e.difference(e.output(node)))
    let isSmall = try e("Less", e("Abs", input), e.constant(DeepLIFTRules.smallest))
    let ratio = try e.divide(output, e.pick(isSmall, e.constant(Float(1)), else: input))
    let scaled = try e.multiply(e.halves(dy), ratio)
    return [try e.reshape(e.pick(isSmall, e.halves(usual), else: scaled), shape)]
  }

  private let pool: Own = { e, node, dy, usual in
    let x = try e.input(node, 0)
    let (shape, windows) = (try e.shape(x), try e.shape(dy))
    guard let usual = usual[0] else { return nil }
    let outputs = try e.split(e.output(node))
    let top = try e("Max", outputs[0], outputs[1])
    let parts = try e("Concat", e.subtract(top, outputs[1]), e.subtract(outputs[0], top), attributes: ["axis": .int(0)])
    let share = try e.multiply(dy, e.reshape(parts, windows))
    let spread = try e("MaxPoolGradient", x, e.output(node), share, domain: "limpid", attributes: node.attributes)
    let halves = try e.split(spread)
    let input = try e.difference(x)
    let isSmall = try e("Less", e("Abs", input), e.constant(DeepLIFTRules.smallest))
    let sum = try e.add(halves[0], halves[1])
    let scaled = try e.divide(sum, e.pick(isSmall, e.constant(Float(1)), else: input))
    let one = try e.pick(isSmall, e.split(usual)[0], else: scaled)
    return [try e.reshape(e("Concat", one, one, attributes: ["axis": .int(0)]), shape)]
  }

  /// Δ(ab) = ā·Δb + b̄·Δa, with means of image and baseline.
  private let product: Own = { e, node, dy, usual in
    let (a, b) = (try e.input(node, 0), try e.input(node, 1))
    let shape = try e.shape(dy)
    guard usual.count > 1, usual[0] != nil, usual[1] != nil, try e.shape(a) == shape, try e.shape(b) == shape else {
      return nil
    }
    func gradient(_ e: inout Emitter, by other: ValueID) throws -> ValueID {
      let parts = try e.split(other)
      let mean = try e.scaled(e.add(parts[0], parts[1]), by: 0.5)
      return try e.reshape(e.multiply(e.halves(dy), mean), shape)
    }
    return [try gradient(&e, by: b), try gradient(&e, by: a)]
  }
}

extension Emitter {
  /// [2, half of the elements]
  fileprivate mutating func halves(_ value: ValueID) throws -> ValueID {
    let shape = try shape(value)
    return try reshape(value, [2, shape.reduce(1, *) / 2])
  }

  /// Image and baseline, [1, half of the elements] each.
  fileprivate mutating func split(_ value: ValueID) throws -> [ValueID] {
    try add("Split", [halves(value)], outputs: 2, attributes: ["axis": .int(0), "num_outputs": .int(2)])
  }

  fileprivate mutating func difference(_ value: ValueID) throws -> ValueID {
    let parts = try split(value)
    return try subtract(parts[0], parts[1])
  }
}
