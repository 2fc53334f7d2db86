import Graph
import Tensors

/// The gradient of an einsum by one operand is an einsum of the result's gradient with the other operands, whose result
/// has the operand's axes.
enum EinsumGradient {
  static let rule = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
    let shapes = try node.inputs.indices.map { try e.operand(e.input(node, $0)).shape }
    let equation = try Einsum.Equation(node.string("equation", default: ""), shapes)
    let letters = try letters(for: equation)
    return try node.inputs.indices.map { i in
      try e.isActive(node, i) ? gradient(&e, node, dy, by: i, equation, letters) : nil
    }
  }

  private typealias Label = Einsum.Label

  /// A letter for each label, those of the ellipsis among them.
  private static func letters(for equation: Einsum.Equation) throws -> [Label: String] {
    let taken = Set(equation.extents.keys)
    var free = (UInt8(ascii: "A")...UInt8(ascii: "Z")).map { Character(UnicodeScalar($0)) }
    free += (UInt8(ascii: "a")...UInt8(ascii: "z")).map { Character(UnicodeScalar($0)) }
    free = free.filter { !taken.contains(.letter($0)) }
    var letters: [Label: String] = [:]
    for label in taken {
      if case .letter(let letter) = label {
        letters[label] = String(letter)
      } else {
        guard let letter = free.popLast() else { throw Failure(.unsupported, "an equation of more than 52 axes") }
        letters[label] = String(letter)
      }
    }
    return letters
  }

  private static func gradient(
    _ e: inout Emitter, _ node: Node, _ dy: ValueID, by i: Int, _ equation: Einsum.Equation, _ letters: [Label: String]
  ) throws -> ValueID {
    func text(_ labels: [Label]) -> String { labels.compactMap { letters[$0] }.joined() }
    let labels = equation.operands[i]
    let own = try e.shape(e.input(node, i))
    var terms = [equation.output]
    var operands: [ValueID?] = [dy]
    for j in node.inputs.indices where j != i {
      terms.append(equation.operands[j])
      operands.append(node.inputs[j])
    }
    let distinct = labels.indices.filter { labels.firstIndex(of: labels[$0]) == $0 }
    // Axes that nothing else has were summed over; the gradient is the same all along them.
    let shared = distinct.filter { k in terms.contains { $0.contains(labels[k]) } }
    let result = try e.add(
      "Einsum", operands, outputs: 1,
      attributes: ["equation": .string(terms.map(text).joined(separator: ",") + "->" + text(shared.map { labels[$0] }))]
    )[0]
    let found = try e.shape(result)
    var extents = [Int](repeating: 1, count: labels.count)
    for (k, extent) in zip(shared, found) { extents[k] = extent }
    var gradient = try e.reshape(result, extents)
    // Sums over axes along which the operand was repeated.
    let repeated = labels.indices.filter { own[$0] == 1 && extents[$0] > 1 }
    gradient = try e.reduce("ReduceSum", gradient, axes: repeated)
    for (k, label) in labels.enumerated() {
      guard let first = labels.firstIndex(of: label), first < k else { continue }
      guard own[first] == own[k] else {
        throw Failure(.unsupported, "the gradient of a diagonal of unequal axes is not supported")
      }
      gradient = try e.multiply(gradient, e.constant(diagonal(first, k, of: own)))
    }
    return try e.expand(gradient, own)
  }

  /// 1 where the two axes have the same index; other axes have extent 1.
  private static func diagonal(_ first: Int, _ second: Int, of shape: [Int]) throws -> Tensor {
    let n = shape[first]
    guard n <= 4096 else { throw Failure(.unsupported, "the gradient of a diagonal of \(n) elements is not supported") }
    let extents = shape.indices.map { $0 == first || $0 == second ? n : 1 }
    return try Tensor((0..<n * n).map { Float($0 / n == $0 % n ? 1 : 0) }, Shape(trusted: extents))
  }
}
