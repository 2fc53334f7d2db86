import Graph
import Operators
import Tensors

/// Quantised networks as plans have them: what is quantised and at once dequantised stays in floating point, and
/// convolutions bring their results to steps themselves.
extension PlanBuilder {
  /// Makes a QuantizeLinear and the DequantizeLinear `node` that alone reads its result one step.
  mutating func joinQuantization(_ node: Node) throws -> Bool {
    guard let value = node.input(0), let maker = loneMaker(of: value) else { return false }
    let source = drafts[maker].node
    guard source.operation == "QuantizeLinear", source.domain.isEmpty, !drafts[maker].isAbsorbed,
      let type = values[value]?.operand.type, let input = source.inputs[0]
    else { return false }
    let zero = constantInput(source, 2)
    guard
      zero?.bytes.elementsEqual(constantInput(node, 2)?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0))
        ?? (constantInput(node, 2) == nil), hasConstantZero(source), hasConstantZero(node),
      let parameters = try RoundToSteps.parameters(
        quantizing: constantInput(source, 1), dequantizing: constantInput(node, 1), zero: zero, type)
    else { return false }
    drafts[maker].isAbsorbed = true
    try addSteps(parameters, of: input, insteadOf: node)
    return true
  }

  /// Lets the convolution that makes the input bring its results to steps, behind an activation that only clamps; a
  /// multiplication by one number becomes a part of the steps before.
  mutating func absorbSteps(_ node: Node) throws -> Bool {
    guard let value = node.input(0), let maker = loneMaker(of: value),
      let output = node.output(0),
      var parameters = try node.floats("parameters"), !parameters.isEmpty
    else { return false }
    if parameters[0] == 1, let (input, factor) = scaling(drafts[maker].node) {
      drafts[maker].isAbsorbed = true
      parameters[0] = factor
      try addSteps(parameters, of: input, insteadOf: node)
      return true
    }
    var fused = drafts[maker].node
    guard fused.operation == "Conv", fused.domain == "limpid" else { return false }
    let bounds = try fused.floats("activation_parameters") ?? []
    switch try fused.string("activation") {
    case nil: break
    case "Relu"?: parameters = RoundToSteps.parameters(parameters, clampedTo: 0, .infinity)
    case "Clip"? where bounds.count == 2 && bounds[0] <= bounds[1]:
      parameters = RoundToSteps.parameters(parameters, clampedTo: bounds[0], bounds[1])
    default: return false
    }
    fused.attributes["activation"] = .string(RoundToSteps.name)
    fused.attributes["activation_parameters"] = .floats(parameters)
    fused.outputs = node.outputs
    drafts[maker] = try replanned(maker, as: fused, inputs: drafts[maker].inputs)
    values[output] = values[value]
    makers[output] = maker
    return true
  }

  private mutating func addSteps(_ parameters: [Float], of input: ValueID, insteadOf node: Node) throws {
    try emit(
      RoundToSteps.name, domain: "limpid", name: node.name, [input], as: node.outputs,
      attributes: ["parameters": .floats(parameters)])
  }

  /// What `node` multiplies by one number, and the number; nil where it does something else.
  private func scaling(_ node: Node) -> (ValueID, Float)? {
    guard node.operation == "Mul", node.domain.isEmpty, node.inputs.count == 2, let result = node.outputs[0] else {
      return nil
    }
    for (i, j) in [(0, 1), (1, 0)] {
      if let factor = constantInput(node, j), factor.count == 1, factor.type == .float32, let x = node.inputs[i],
        values[x]?.operand.shape == values[result]?.operand.shape
      {
        return (x, factor.array(of: Float.self)[0])
      }
    }
    return nil
  }

  /// The draft that makes `value`, where one node reads it and nobody asks for it.
  private func loneMaker(of value: ValueID) -> Int? {
    readers[value] == 1 && !fetched.contains(value) ? makers[value] : nil
  }

  private func constantInput(_ node: Node, _ i: Int) -> Tensor? {
    node.input(i).flatMap { values[$0]?.operand.constant }
  }

  private func hasConstantZero(_ node: Node) -> Bool {
    node.input(2) == nil || constantInput(node, 2) != nil
  }
}
