import Graph
import Operators
import Tensors

/// If and Loop, whose conditions must be known when the plan is made, and Scan: their bodies become a part of the plan.
extension PlanBuilder {
  static let controlFlow: Set<String> = ["If", "Loop", "Scan"]
  /// Bounds what a hostile loop can make of a small file.
  private static let inliningLimit = 1 << 18

  mutating func addControlFlow(_ node: Node) throws {
    switch node.operation {
    case "If": try addBranch(node)
    case "Loop": try addLoop(node)
    default: try addScan(node)
    }
  }

  private mutating func addBranch(_ node: Node) throws {
    let branch = try condition(node, input: 0) ? "then_branch" : "else_branch"
    guard let body = try node.graph(branch) else { throw Failure(.invalidModel, "it has no \(branch)") }
    let outputs = try addBody(body, arguments: [])
    try alias(node.outputs, to: outputs)
  }

  /// Inputs: trip count?, condition?, carried values. Body: (iteration, condition, carried) to (condition, carried,
  /// scans).
  private mutating func addLoop(_ node: Node) throws {
    guard let body = try node.graph("body") else { throw Failure(.invalidModel, "it has no body") }
    let trips = try node.inputs.first.flatMap { $0 }.map { try integer($0, input: 0) }
    var carried = try node.inputs.dropFirst(2).map { input in
      guard let input else { throw Failure(.invalidModel, "a carried value is missing") }
      return input
    }
    guard body.inputs.count == carried.count + 2, body.outputs.count >= carried.count + 1 else {
      throw Failure(
        .invalidModel,
        "its body takes \(body.inputs.count) values and gives \(body.outputs.count), for \(carried.count) carried")
    }
    var goesOn = node.input(1) != nil ? try condition(node, input: 1) : true
    var scans = [[ValueID]](repeating: [], count: body.outputs.count - 1 - carried.count)
    var iteration = 0
    while goesOn, trips.map({ iteration < $0 }) ?? true {
      let arguments = [constant(try Tensor([Int64(iteration)], .scalar)), constant(try Self.truth(true))] + carried
      let outputs = try addBody(body, arguments: arguments)
      carried = Array(outputs[1...].prefix(carried.count))
      for (i, output) in outputs.dropFirst(1 + carried.count).enumerated() { scans[i].append(output) }
      guard let known = values[outputs[0]]?.operand.constant else { throw try needsFeeds(outputs[0]) }
      goesOn = known.bytes.first != 0
      iteration += 1
    }
    try alias(Array(node.outputs.prefix(carried.count)), to: carried)
    for (output, parts) in zip(node.outputs.dropFirst(carried.count), scans) where output != nil {
      try stack(parts, as: output)
    }
  }

  /// Plans a copy of `body`; returns what its outputs have become.
  mutating func addBody(_ body: Graph, arguments: [ValueID]) throws -> [ValueID] {
    // Values count too: a body of no nodes would never end. So do branches that are not taken: they are copied.
    inlined += 1 + body.copyCost
    guard inlined <= Self.inliningLimit else {
      throw Failure(.unsupported, "its bodies come to more than \(Self.inliningLimit) nodes, operands and values")
    }
    let (nodes, outputs) = try graph.inline(body, arguments: arguments)
    for node in nodes { countReaders(node) }
    let made = Set(nodes.flatMap(\.outputs).compactMap { $0 })
    for output in outputs {
      readers[output, default: 0] += 1
      if !made.contains(output) { try bring(output) }
    }
    for node in nodes { try locating(node.title) { try add(node) } }
    return outputs
  }

  /// Gives the values `sources` the names that the rest of the graph knows them by.
  mutating func alias(_ outputs: [ValueID?], to sources: [ValueID]) throws {
    for case (let output?, let source) in zip(outputs, sources) {
      try emit("Identity", [source], as: [output])
    }
  }

  /// The values of all iterations along a new axis.
  mutating func stack(_ parts: [ValueID], as output: ValueID?, axis: Int = 0) throws {
    guard !parts.isEmpty else { throw Failure(.unsupported, "a loop of no iterations has no scan outputs here") }
    let axes = constant(try Tensor([Int64(axis)], [1]))
    let expanded = try parts.map { try emit("Unsqueeze", [$0, axes]) }
    try emit("Concat", expanded, as: [output], attributes: ["axis": .int(axis)])
  }

  /// Plans a node that the file does not have, in the words of the operator set that an `Emitter` writes.
  mutating func emit(
    _ operation: String, domain: String = "", name: String = "", _ inputs: [ValueID?], as outputs: [ValueID?],
    attributes: [String: Attribute] = [:]
  ) throws {
    try add(
      Node(
        operation, domain: domain, name: name, inputs: inputs, outputs: outputs, attributes: attributes,
        version: Emitter.version))
  }

  /// The same for a node of one result that one other reads.
  mutating func emit(
    _ operation: String, _ inputs: [ValueID?], attributes: [String: Attribute] = [:]
  ) throws -> ValueID {
    let value = addValue()
    readers[value] = 1
    try emit(operation, inputs, as: [value], attributes: attributes)
    return value
  }

  /// With a name that no model can have taken: graphs within a body find it by that.
  private mutating func addValue() -> ValueID { graph.addValue("\u{1}\(graph.valueCount)") }

  mutating func constant(_ tensor: Tensor) -> ValueID {
    let value = addValue()
    graph.constants[value] = tensor
    return value
  }

  private static func truth(_ value: Bool) throws -> Tensor { try Tensor([UInt8(value ? 1 : 0)], .bool, .scalar) }

  private func condition(_ node: Node, input: Int) throws -> Bool {
    guard let value = node.input(input), let operand = values[value]?.operand else {
      throw Failure(.invalidModel, "its condition is missing")
    }
    guard let tensor = operand.constant else { throw NeedsConstant(input: input) }
    guard tensor.count == 1 else { throw Failure(.invalidModel, "its condition has \(tensor.count) elements") }
    return tensor.bytes.contains { $0 != 0 }
  }

  private func integer(_ value: ValueID, input: Int) throws -> Int {
    guard let tensor = values[value]?.operand.constant else { throw NeedsConstant(input: input) }
    guard let number = try tensor.integers().first else { throw Failure(.invalidModel, "its trip count is empty") }
    return number
  }
}
