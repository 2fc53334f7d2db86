public import Graph
public import Operators
import Tensors

/// Which rule each operator has. Other tables than the standard one make other methods of the same walk (guided
/// backpropagation, DeepLIFT).
public struct GradientRules: Sendable {
  /// The derivative of each operator.
  public static let standard = GradientRules("derivative")

  /// Tells apart what was differentiated by different tables.
  public let name: String
  private let overrides: [String: GradientRule]

  /// The standard rules but for the ONNX operators named in `overrides`.
  public init(_ name: String, overriding overrides: [String: GradientRule] = [:]) {
    self.name = name
    self.overrides = overrides
  }

  public func rule(for node: Node) -> GradientRule? {
    if node.domain.isEmpty, let rule = overrides[node.operation] { return rule }
    return Operators.definition(node.operation, domain: node.domain)?.gradient
  }
}

extension Emitter {
  /// Adds the nodes that compute d⟨`seed`, `output`⟩ / d`value` for each of `values` (reverse mode), where `seed` is a
  /// value of the type and shape of `output`.
  ///
  /// Only nodes between `values` and `output` are differentiated. Throws `unsupported`, naming the node, where a rule
  /// is missing, and `invalidArgument` for a value that `output` does not depend on.
  public mutating func differentiate(
    _ output: ValueID, seed: ValueID, at values: [ValueID], rules: GradientRules = .standard
  ) throws -> [ValueID] {
    let found = try differentiate([(output, seed)], nodes: graph.nodes, at: values, rules)
    return try zip(values, found).map { value, gradient in
      if let gradient { return gradient }
      throw Failure(
        .invalidArgument,
        "\(quoted(graph.name(of: output))) does not depend on \(quoted(graph.name(of: value))), or by steps only")
    }
  }

  /// Gradients of the sum of ⟨seed, target⟩, nil for values that no target depends on.
  private mutating func differentiate(
    _ targets: [(value: ValueID, seed: ValueID)], nodes: [Node], at values: [ValueID], _ rules: GradientRules
  ) throws -> [ValueID?] {
    var reached = Set(values)
    let isByWeights = try values.contains { try operand($0).constant != nil }
    for node in nodes where node.inputs.contains(where: { $0.map(reached.contains) ?? false }) {
      if case .constant? = rules.rule(for: node) { continue }
      // What is known depends on shapes at most, or on weights.
      reached.formUnion(node.outputs.compactMap { $0 }.filter { isByWeights || operands[$0]?.constant == nil })
    }
    let outer = active
    active = reached
    defer { active = outer }
    var parts: [ValueID: [ValueID]] = [:]
    for (value, seed) in targets { parts[value, default: []].append(seed) }
    for node in nodes.reversed() where node.inputs.contains(where: { $0.map(reached.contains) ?? false }) {
      let gradients = try node.outputs.map { try $0.flatMap { try sum(&parts, of: $0) } }
      guard gradients.contains(where: { $0 != nil }) else { continue }
      let contributions = try locating(node.title) {
        do {
          return try self.gradients(of: node, gradients, rules)
        } catch let need as NeedsConstant {
          throw Failure(.unsupported, "its gradient needs input \(need.input) to be constant")
        }
      }
      for case (let input?, let gradient?) in zip(node.inputs, contributions) where reached.contains(input) {
        parts[input, default: []].append(gradient)
      }
    }
    return try values.map { try sum(&parts, of: $0) }
  }

  private mutating func gradients(
    of node: Node, _ gradients: [ValueID?], _ rules: GradientRules
  ) throws -> [ValueID?] {
    switch rules.rule(for: node) {
    case .constant?: return []
    case .emitted(let emit)?: return try emit(&self, node, gradients)
    case .decomposed(let decompose)?:
      let start = graph.nodes.count
      let results = try decompose(&self, node)
      let targets = zip(results, gradients).compactMap { result, gradient in
        result.flatMap { result in gradient.map { (value: result, seed: $0) } }
      }
      // A value that the node reads twice gets its whole gradient once.
      var wanted: [ValueID] = []
      for case let input? in node.inputs where active.contains(input) && !wanted.contains(input) {
        wanted.append(input)
      }
      let found = try differentiate(targets, nodes: Array(graph.nodes[start...]), at: wanted, rules)
      var gradients = Dictionary(uniqueKeysWithValues: zip(wanted, found))
      return node.inputs.map { $0.flatMap { gradients.removeValue(forKey: $0) ?? nil } }
    case nil:
      throw Failure(
        .unsupported,
        "no gradient is known of the operator \(quoted(node.operation)); choose a layer behind it, or a "
          + "method that needs no gradients")
    }
  }

  /// The gradient of `value`, the sum of all parts; nil where there are none. Later calls give the same value.
  private mutating func sum(_ parts: inout [ValueID: [ValueID]], of value: ValueID) throws -> ValueID? {
    guard var known = parts[value], let first = known.first else { return nil }
    // Quantised values have gradients too; truth values and indices have none.
    guard try ![.bool, .int64].contains(operand(value).type) else { return nil }
    known = try [known.dropFirst().reduce(first) { try self("Add", $0, $1) }]
    parts[value] = known
    return known[0]
  }
}
