import Graph
import Operators
import Tensors

/// Convolutions and products with constant matrices take over the addition and the activation that alone read their
/// result, once the shapes are known; batch normalisations that are steps of their own, the activation, and the Concat
/// before them.
extension PlanBuilder {
  /// Whether an earlier step does the work of `node` from now on.
  mutating func absorb(_ node: Node) throws -> Bool {
    if node.domain == "limpid" {
      if node.operation == Composition.name { return try absorbActivation(node) }
      return try node.operation == RoundToSteps.name && absorbSteps(node)
    }
    guard node.domain.isEmpty, node.outputs.count == 1, node.outputs[0] != nil else { return false }
    if node.operation == "Add", node.inputs.count == 2 { return try absorbRow(node) || absorbAddition(node) }
    if node.operation == "BatchNormalization" { return try absorbConcat(node) }
    if node.operation == "DequantizeLinear" { return try joinQuantization(node) }
    if node.operation == "MaxPool" { return try absorbPool(node) }
    return try absorbActivation(node)
  }

  /// Where the node has what is added to its result.
  private static func residualSlot(_ node: Node) -> Int {
    switch node.operation {
    case "Conv": 7
    default: 3
    }
  }

  /// The draft of the convolution or the product that makes `value`, where `value` has no other use and nothing follows
  /// in it yet.
  private func openProduct(making value: ValueID?) -> Int? {
    openStep(making: value) { isOpenProduct($0, $1) }
  }

  private func openStep(making value: ValueID?, _ isOpen: (Node, Shape?) -> Bool) -> Int? {
    guard let maker = step(makingFor: value) else { return nil }
    let node = drafts[maker].node
    return node.attributes["activation"] == nil && isOpen(node, drafts[maker].shape) ? maker : nil
  }

  /// The draft that makes `value` for one reader alone.
  private func step(makingFor value: ValueID?) -> Int? {
    guard let value, readers[value] == 1, !fetched.contains(value) else { return nil }
    return makers[value]
  }

  /// A batch normalisation by given statistics.
  private func isOpenNormalization(_ node: Node) -> Bool {
    node.operation == "BatchNormalization" && ["", "limpid"].contains(node.domain)
      && (node.domain == "limpid" || node.inputs.count == 5)
      && node.outputs.dropFirst().allSatisfy { $0 == nil } && (try? node.flag("training_mode")) == false
  }

  private func isOpenProduct(_ node: Node, _ result: Shape?) -> Bool {
    if node.operation == "Conv" { return node.domain == "limpid" }
    guard ["MatMul", "Gemm"].contains(node.operation), ["", "limpid"].contains(node.domain),
      let b = node.inputs[1].flatMap({ values[$0]?.operand }), b.constant != nil, b.shape.rank == 2
    else { return false }
    guard node.operation == "Gemm", let c = node.input(2) else { return true }
    guard let c = values[c]?.operand, c.constant != nil else { return false }
    return c.shape.count == result?.dimensions.last && c.shape.dimensions.last == c.shape.count
  }

  /// `node` as one of our own domain, with all slots.
  private func opened(_ node: Node) -> Node {
    var fused = node.owned
    fused.inputs += [ValueID?](repeating: nil, count: max(0, Self.residualSlot(node) + 1 - node.inputs.count))
    return fused
  }

  /// Whether the product that makes `value` also makes `view`, another form of it.
  mutating func follow(_ value: ValueID, asViewed view: ValueID) {
    guard let maker = openProduct(making: value), drafts[maker].node.operation != "Conv" else { return }
    makers[view] = maker
  }

  /// Lets a batch normalisation by known statistics read the maps whose channels a Concat would only write one after
  /// the other for it.
  private mutating func absorbConcat(_ node: Node) throws -> Bool {
    guard fusesMaps, isOpenNormalization(node),
      node.inputs.dropFirst().allSatisfy({ $0.flatMap { values[$0] }?.operand.constant != nil }),
      let maker = openStep(
        making: node.inputs[0], { joined, _ in joined.operation == "Concat" && joined.domain.isEmpty }),
      let maps = values[node.inputs[0]!]?.operand, maps.layout == .channelsLast, maps.type == .float32
    else { return false }
    let concat = drafts[maker].node
    let axis = try concat.int("axis", default: 1)
    guard axis == 1 || axis == 1 - maps.shape.rank else { return false }
    var fused = node.owned
    fused.inputs = [concat.inputs[0]] + node.inputs.dropFirst() + concat.inputs.dropFirst()
    drafts[maker].isAbsorbed = true
    let request = request(for: fused)
    try add(fused, request, Operators.definition(fused.operation, domain: fused.domain)!.plan(request))
    return true
  }

  /// Lets a product without a bias add a constant row to all rows.
  private mutating func absorbRow(_ node: Node) throws -> Bool {
    let slot = 2
    for (i, j) in [(0, 1), (1, 0)] {
      guard let maker = openProduct(making: node.inputs[i]), drafts[maker].node.operation == "MatMul",
        let row = node.inputs[j], let sum = values[node.inputs[i]!], let vector = values[row]?.operand,
        vector.constant != nil, vector.type == .float32, isRow(vector.shape, of: sum.operand),
        vector.shape.count == drafts[maker].shape?.dimensions.last
      else { continue }
      var fused = opened(drafts[maker].node)
      guard fused.inputs[slot] == nil, fused.inputs[Self.residualSlot(fused)] == nil else { continue }
      fused.inputs[slot] = row
      fused.outputs = node.outputs
      drafts[maker] = try replanned(maker, as: fused, inputs: drafts[maker].inputs)
      values[node.outputs[0]!] = sum
      makers[node.outputs[0]!] = maker
      return true
    }
    return false
  }

  /// Whether a constant has one number for each element along the axis of `operand` that lies innermost.
  private func isRow(_ shape: Shape, of operand: Operand) -> Bool {
    let rank = operand.shape.rank
    guard rank > 0, shape.rank <= rank, let axis = shape.dimensions.firstIndex(where: { $0 != 1 }) else { return false }
    let aligned = rank - shape.rank + axis
    return operand.layout.physicalAxis(aligned, rank: rank) == rank - 1 && shape[axis] == operand.shape[aligned]
      && shape.count == shape[axis]
  }

  private mutating func absorbActivation(_ node: Node) throws -> Bool {
    guard let maker = openStep(making: node.input(0), { isOpenProduct($0, $1) || isOpenNormalization($0) }),
      let parameters = try activationParameters(node)
    else { return false }
    var fused = opened(drafts[maker].node)
    fused.attributes["activation"] = .string(node.operation)
    fused.attributes["activation_parameters"] = .floats(parameters)
    fused.attributes["body"] = node.attributes["body"]
    fused.outputs = node.outputs
    drafts[maker] = try replanned(maker, as: fused, inputs: drafts[maker].inputs)
    values[node.outputs[0]!] = values[node.inputs[0]!]
    makers[node.outputs[0]!] = maker
    return true
  }

  private mutating func absorbAddition(_ node: Node) throws -> Bool {
    for (i, j) in [(0, 1), (1, 0)] {
      guard let maker = openProduct(making: node.inputs[i]), let residual = node.inputs[j],
        let sum = values[node.inputs[i]!], let other = values[residual],
        other.operand.shape == sum.operand.shape, other.operand.type == sum.operand.type
      else { continue }
      var (fused, inputs) = (opened(drafts[maker].node), drafts[maker].inputs)
      let slot = Self.residualSlot(fused)
      guard fused.inputs[slot] == nil else { continue }
      fused.inputs[slot] = residual
      fused.outputs = node.outputs
      inputs += [Place?](repeating: nil, count: max(0, slot + 1 - inputs.count))
      inputs[slot] = try place(of: residual, in: sum.operand.layout)
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

  /// Lets a convolution write the largest of 2×2 outputs alone. Nothing is absorbed behind that.
  private mutating func absorbPool(_ node: Node) throws -> Bool {
    guard fusesMaps, let maker = step(makingFor: node.input(0)),
      let fused = try drafts[maker].request?.pooled(by: request(for: node)),
      case .buffer(let buffer)?? = drafts[maker].outputs.first
    else { return false }
    drafts[maker] = try replanned(maker, as: fused, inputs: drafts[maker].inputs)
    guard let shape = drafts[maker].shape else { return false }
    let operand = Operand(.float32, shape, layout: .channelsLast)
    bufferSizes[buffer] = operand.byteCount
    values[node.outputs[0]!] = Value(operand: operand, places: [operand.layout: .buffer(buffer)])
    return true
  }

  /// The step of draft `i` planned again for `node`, which has the same result shape.
  func replanned(_ i: Int, as node: Node, inputs: [Place?]) throws -> Draft {
    let request = request(for: node)
    let step = try Operators.definition(node.operation, domain: node.domain)!.plan(request)
    guard case .run(let run) = step.action else { throw Failure(.internal, "a fused step does not run") }
    return Draft(
      node: node, request: request, run: run, inputs: inputs, outputs: drafts[i].outputs, workspace: step.workspace,
      overwritable: step.overwritable, shape: step.outputs.first?.shape, multiplyAdds: step.multiplyAdds,
      regional: step.regional, rows: step.rows)
  }

  /// What the activation `node` needs beside its input; nil where it is none, or its parameters are not constant.
  private func activationParameters(_ node: Node) throws -> [Float]? {
    switch node.operation {
    case Composition.name: return []
    case "Clip":
      let low = try bound(node, 1, "min", default: -.infinity)
      let high = try bound(node, 2, "max", default: .infinity)
      return low.flatMap { low in high.map { [low, $0] } }
    default: return try Activation.parameters(of: node)
    }
  }

  private func bound(_ node: Node, _ i: Int, _ name: String, default fallback: Float) throws -> Float? {
    if let attribute = try node.float(name) { return attribute }
    guard let input = node.input(i) else { return fallback }
    guard let tensor = values[input]?.operand.constant, tensor.type == .float32, tensor.count == 1 else { return nil }
    return tensor.array(of: Float.self)[0]
  }
}
