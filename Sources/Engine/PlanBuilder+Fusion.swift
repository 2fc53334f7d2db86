import Graph
import Operators
import Tensors

/// Convolutions take over the addition and the activation that alone read their result, once the shapes are known.
extension PlanBuilder {
  /// Whether an earlier convolution does the work of `node` from now on.
  mutating func absorb(_ node: Node) throws -> Bool {
    if node.domain == "limpid" { return try node.operation == RoundToSteps.name && absorbSteps(node) }
    guard node.domain.isEmpty, node.outputs.count == 1, node.outputs[0] != nil else { return false }
    if node.operation == "Add", node.inputs.count == 2 { return try absorbAddition(node) }
    if node.operation == "DequantizeLinear" { return try joinQuantization(node) }
    return try absorbActivation(node)
  }

  /// Where a convolution of our own has what is added to its result.
  private static let residualSlot = 7

  /// The draft of the convolution that makes `value`, where `value` has no other use and nothing follows in it yet.
  private func openConvolution(making value: ValueID?) -> Int? {
    guard let value, readers[value] == 1, !fetched.contains(value), let maker = makers[value] else { return nil }
    let node = drafts[maker].node
    guard node.operation == "Conv", node.domain == "limpid" else { return nil }
    return node.attributes["activation"] == nil ? maker : nil
  }

  private mutating func absorbActivation(_ node: Node) throws -> Bool {
    guard let maker = openConvolution(making: node.inputs.first ?? nil),
      let parameters = try activationParameters(node)
    else { return false }
    var fused = drafts[maker].node
    fused.attributes["activation"] = .string(node.operation)
    fused.attributes["activation_parameters"] = .floats(parameters)
    let old = fused.outputs[0]!
    fused.outputs = node.outputs
    drafts[maker] = try replanned(maker, as: fused, inputs: drafts[maker].inputs)
    values[node.outputs[0]!] = values[old]
    makers[node.outputs[0]!] = maker
    return true
  }

  private mutating func absorbAddition(_ node: Node) throws -> Bool {
    for (i, j) in [(0, 1), (1, 0)] {
      guard let maker = openConvolution(making: node.inputs[i]), let residual = node.inputs[j],
        drafts[maker].node.inputs[Self.residualSlot] == nil, let sum = values[node.inputs[i]!],
        let other = values[residual],
        other.operand.shape == sum.operand.shape, other.operand.type == sum.operand.type
      else { continue }
      var fused = drafts[maker].node
      fused.inputs[Self.residualSlot] = residual
      fused.outputs = node.outputs
      var inputs = drafts[maker].inputs
      inputs[Self.residualSlot] = try place(of: residual, in: sum.operand.layout)
      let draft = try replanned(maker, as: fused, inputs: inputs)
      // The residual may be made after the convolution's old place, so the step moves here.
      drafts[maker].isAbsorbed = true
      values[node.outputs[0]!] = sum
      makers[node.outputs[0]!] = drafts.count
      drafts.append(draft)
      return true
    }
    return false
  }

  /// The step of draft `i` planned again for `node`, which has the same result shape.
  func replanned(_ i: Int, as node: Node, inputs: [Place?]) throws -> Draft {
    let request = request(for: node)
    let step = try Operators.definition(node.operation, domain: node.domain)!.plan(request)
    guard case .run(let run) = step.action else { throw Failure(.internal, "a fused step does not run") }
    return Draft(
      node: node, request: request, run: run, inputs: inputs, outputs: drafts[i].outputs, workspace: step.workspace,
      overwritable: step.overwritable, shape: step.outputs.first?.shape, multiplyAdds: step.multiplyAdds,
      regional: step.regional)
  }

  /// What the activation `node` needs beside its input; nil where it is none, or its parameters are not constant.
  private func activationParameters(_ node: Node) throws -> [Float]? {
    switch node.operation {
    case "Relu", "Sigmoid", "Tanh", "HardSwish": return []
    case "LeakyRelu": return [try node.float("alpha", default: 0.01)]
    case "HardSigmoid": return [try node.float("alpha", default: 0.2), try node.float("beta", default: 0.5)]
    case "Elu": return [try node.float("alpha", default: 1)]
    case "Clip":
      let low = try bound(node, 1, "min", default: -.infinity)
      let high = try bound(node, 2, "max", default: .infinity)
      return low.flatMap { low in high.map { [low, $0] } }
    default: return nil
    }
  }

  private func bound(_ node: Node, _ i: Int, _ name: String, default fallback: Float) throws -> Float? {
    if let attribute = try node.float(name) { return attribute }
    guard i < node.inputs.count, let input = node.inputs[i] else { return fallback }
    guard let tensor = values[input]?.operand.constant, tensor.type == .float32, tensor.count == 1 else { return nil }
    return tensor.array(of: Float.self)[0]
  }
}
