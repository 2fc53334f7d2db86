import Graph
import Tensors

/// Between which numbers a value must lie, by the operators that make it: a mean of softmaxes lies between 0 and 1.
struct ValueRange {
  let constants: (ValueID) -> Tensor?
  let producer: (ValueID?) -> Node?

  /// nil where nothing is known.
  func of(_ value: ValueID) -> ClosedRange<Double>? {
    var known: [ValueID: ClosedRange<Double>?] = [:]
    return of(value, depth: 0, &known)
  }

  private func of(
    _ value: ValueID?, depth: Int, _ known: inout [ValueID: ClosedRange<Double>?]
  ) -> ClosedRange<Double>? {
    guard let value, depth < 64 else { return nil }
    if let found = known[value] { return found }
    let range: ClosedRange<Double>?
    if let tensor = constants(value) {
      range = bounds(tensor)
    } else if let node = producer(value) {
      range = made(by: node, depth + 1, &known)
    } else {
      range = nil
    }
    known[value] = .some(range)
    return range
  }

  private func bounds(_ tensor: Tensor) -> ClosedRange<Double>? {
    guard let tensor = try? tensor.computed(), tensor.type == .float32, (1...4096).contains(tensor.count) else {
      return nil
    }
    let values = tensor.array(of: Float.self)
    guard values.allSatisfy(\.isFinite), let low = values.min(), let high = values.max() else { return nil }
    return Double(low)...Double(high)
  }

  private func made(
    by node: Node, _ depth: Int, _ known: inout [ValueID: ClosedRange<Double>?]
  ) -> ClosedRange<Double>? {
    func input(_ i: Int) -> ClosedRange<Double>? {
      i < node.inputs.count ? of(node.inputs[i], depth: depth, &known) : nil
    }
    func all(_ join: (ClosedRange<Double>, ClosedRange<Double>) -> ClosedRange<Double>?) -> ClosedRange<Double>? {
      guard var range = input(0) else { return nil }
      for i in node.inputs.indices.dropFirst() {
        guard let next = input(i), let joined = join(range, next) else { return nil }
        range = joined
      }
      return range
    }
    switch node.operation {
    case "Softmax", "Sigmoid", "HardSigmoid": return 0...1
    case "Tanh", "Softsign", "Sin", "Cos", "Erf": return -1...1
    case "Exp", "Relu", "Softplus", "Abs", "Sqrt": return 0 ... .infinity
    case "Cast" where !node.onlyMoves: return nil
    case "Clip":
      let low = input(1)?.lowerBound ?? -.infinity, high = input(2)?.upperBound ?? .infinity
      guard low <= high else { return nil }
      let range = input(0) ?? -.infinity ... .infinity
      return range.clamped(to: low...high)
    case "Slice", "Gather", "GatherElements", "GatherND", "Split", "ReduceMean", "ReduceMax", "ReduceMin",
      "GlobalAveragePool", "GlobalMaxPool", "Expand", "Tile":
      return input(0)
    case "Concat", "Mean": return all { min($0.lowerBound, $1.lowerBound)...max($0.upperBound, $1.upperBound) }
    case "Max": return all { max($0.lowerBound, $1.lowerBound)...max($0.upperBound, $1.upperBound) }
    case "Min": return all { min($0.lowerBound, $1.lowerBound)...min($0.upperBound, $1.upperBound) }
    case "Add", "Sum": return all { Self.range($0.lowerBound + $1.lowerBound, $0.upperBound + $1.upperBound) }
    case "Sub": return all { Self.range($0.lowerBound - $1.upperBound, $0.upperBound - $1.lowerBound) }
    case "Mul": return all { Self.products($0, $1) }
    case "Div": return all { above, below in Self.inverse(below).flatMap { Self.products(above, $0) } }
    case "Reciprocal": return input(0).flatMap(Self.inverse)
    case "Neg": return input(0).map { -$0.upperBound ... -$0.lowerBound }
    default: return node.onlyMoves ? input(0) : nil
    }
  }

  private static func range(_ low: Double, _ high: Double) -> ClosedRange<Double>? {
    low <= high ? low...high : nil
  }

  private static func inverse(_ range: ClosedRange<Double>) -> ClosedRange<Double>? {
    range.lowerBound > 0 || range.upperBound < 0 ? 1 / range.upperBound...1 / range.lowerBound : nil
  }

  private static func products(_ a: ClosedRange<Double>, _ b: ClosedRange<Double>) -> ClosedRange<Double>? {
    let corners = [a.lowerBound, a.upperBound].flatMap { x in
      [b.lowerBound, b.upperBound].map { x == 0 || $0 == 0 ? 0 : x * $0 }
    }
    guard let low = corners.min(), let high = corners.max() else { return nil }
    return range(low, high)
  }
}
