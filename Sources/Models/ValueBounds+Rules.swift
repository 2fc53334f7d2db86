import Glibc
import Graph
import Tensors

extension ValueBounds {
  /// One way back through a graph; what was found is kept.
  struct Walk {
    let bounds: ValueBounds
    private var known: [ValueID: Facts] = [:]

    init(bounds: ValueBounds) { self.bounds = bounds }

    mutating func of(_ value: ValueID, depth: Int) -> Facts {
      if let found = known[value] { return found }
      var facts = Facts()
      if let numbers = bounds.numbers(value), let low = numbers.min(), let high = numbers.max() {
        facts = Facts(range: low...high, mean: Mean(constant: numbers.reduce(0, +) / Double(numbers.count)))
      } else if depth < 64, let node = bounds.producer(value), let made = made(by: node, depth + 1) {
        facts = made
      }
      if facts.mean == nil { facts.mean = Mean(constant: 0, factors: [value: 1]) }
      known[value] = facts
      return facts
    }

    private mutating func made(by node: Node, _ depth: Int) -> Facts? {
      guard node.domain.isEmpty || node.domain == "limpid" else { return nil }
      let inputs = node.inputs.map { $0.map { of($0, depth: depth) } ?? Facts() }
      guard let first = inputs.first else { return nil }
      let x = first.range
      switch node.operation {
      case "Softmax", "Hardmax": return Facts(range: 0...1, mean: share(node))
      case "LpNormalization":
        guard (try? node.int("p", default: 2)) == 1, x.lowerBound >= 0 else { return Facts(range: -1...1) }
        return Facts(range: 0...1, mean: share(node))
      case "LogSoftmax": return Facts(range: -.infinity...0)
      case "Sigmoid", "HardSigmoid", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor",
        "Not",
        "IsNaN", "IsInf":
        return Facts(range: 0...1)
      case "Tanh", "Softsign", "Sin", "Cos", "Erf": return Facts(range: -1...1)
      case "Softplus": return Facts(range: 0 ... .infinity)
      case "Exp": return monotone(x, exp)
      case "Log": return x.lowerBound >= 0 ? monotone(x, log) : nil
      case "Round", "Floor", "Ceil": return Facts(range: span(floor(x.lowerBound), ceil(x.upperBound)))
      case "OneHot": return marked(node)
      case "Sqrt": return monotone(max(0, x.lowerBound)...max(0, x.upperBound), sqrt)
      case "Relu": return x.lowerBound >= 0 ? first : Facts(range: max(0, x.lowerBound)...max(0, x.upperBound))
      case "Abs": return magnitude(first)
      case "Neg": return scaled(first, by: -1)
      case "Reciprocal": return inverse(x).map { Facts(range: $0) }
      case "Pow": return power(node, x)
      case "Cast" where !node.onlyMoves:
        return x.lowerBound.isFinite ? Facts(range: min(0, x.lowerBound)...max(0, x.upperBound)) : nil
      case "Clip": return clipped(node, first, inputs)
      case "Max", "Min": return extreme(node, inputs)
      case "Where":
        return inputs.count == 3 ? Facts(range: hull(inputs[1].range, inputs[2].range)) : nil
      case "Gather": return Facts(range: x, mean: isPermutation(node) ? first.mean : nil)
      case "Slice", "GatherElements", "GatherND", "Split", "ReduceMax", "ReduceMin", "GlobalMaxPool", "MaxPool":
        return Facts(range: x)
      case "Expand", "Tile", "ReduceMean", "GlobalAveragePool": return first
      case "ReduceSum": return summed(node, first)
      case "ReduceProd": return first.isShare ? Facts(range: 0...1) : nil
      case "Concat": return joined(node, inputs)
      case "Add", "Sum", "Sub", "Mean": return added(node, inputs)
      case "Mul": return multiplied(node, inputs)
      case "Div": return divided(node, inputs)
      case "MatMul", "Gemm": return product(node, first)
      default: return node.onlyMoves ? first : nil
      }
    }

    // MARK: What numbers become

    private func monotone(_ x: ClosedRange<Double>, _ function: (Double) -> Double) -> Facts {
      Facts(range: span(function(x.lowerBound), function(x.upperBound)))
    }

    private func hull(_ a: ClosedRange<Double>, _ b: ClosedRange<Double>) -> ClosedRange<Double> {
      min(a.lowerBound, b.lowerBound)...max(a.upperBound, b.upperBound)
    }

    /// All numbers, where the bounds are none.
    private func span(_ low: Double, _ high: Double) -> ClosedRange<Double> {
      low <= high ? low...high : -.infinity ... .infinity
    }

    private func scaled(_ x: Facts, by factor: Double) -> Facts {
      Facts(range: products(x.range, factor...factor).range, mean: x.mean.map { $0 * factor })
    }

    private func magnitude(_ x: Facts) -> Facts {
      if x.range.lowerBound >= 0 { return x }
      return Facts(range: 0...max(-x.range.lowerBound, x.range.upperBound))
    }

    private func inverse(_ range: ClosedRange<Double>) -> ClosedRange<Double>? {
      // A lower bound of 0 may be met, also of −0.
      if range.lowerBound >= 0 { return span(1 / abs(range.upperBound), 1 / abs(range.lowerBound)) }
      return range.upperBound < 0 ? span(1 / range.upperBound, 1 / range.lowerBound) : nil
    }

    private func products(_ a: ClosedRange<Double>, _ b: ClosedRange<Double>) -> Facts {
      func product(_ x: Double, _ y: Double) -> Double { x == 0 || y == 0 ? 0 : x * y }
      let first = product(a.lowerBound, b.lowerBound), second = product(a.lowerBound, b.upperBound)
      let third = product(a.upperBound, b.lowerBound), last = product(a.upperBound, b.upperBound)
      return Facts(range: span(min(first, second, third, last), max(first, second, third, last)))
    }

    private func power(_ node: Node, _ x: ClosedRange<Double>) -> Facts? {
      guard node.inputs.count == 2 else { return nil }
      if let base = bounds.uniform(node.inputs[0]), base > 0 { return Facts(range: 0 ... .infinity) }
      guard let exponent = bounds.uniform(node.inputs[1]) else { return nil }
      if exponent == -1 { return inverse(x).map { Facts(range: $0) } }
      if x.lowerBound >= 0, exponent > 0 { return monotone(x) { pow($0, exponent) } }
      return exponent.truncatingRemainder(dividingBy: 2) == 0 ? Facts(range: 0 ... .infinity) : nil
    }

    /// A bound that is not met but by rounding leaves the mean.
    private func clipped(_ node: Node, _ x: Facts, _ inputs: [Facts]) -> Facts? {
      let attributes = (try? node.float("min"), try? node.float("max"))
      let low = node.input(1) != nil ? inputs[1].range.lowerBound : attributes.0.map { Double($0) }
      let high = node.input(2) != nil ? inputs[2].range.upperBound : attributes.1.map { Double($0) }
      return bounded(x, low ?? -.infinity, high ?? .infinity)
    }

    private func bounded(_ x: Facts, _ low: Double, _ high: Double) -> Facts? {
      guard low <= high else { return nil }
      let isKept = low <= x.range.lowerBound + 1e-3 && high >= x.range.upperBound - 1e-3
      return Facts(range: x.range.clamped(to: low...high), mean: isKept ? x.mean : nil)
    }

    private func extreme(_ node: Node, _ inputs: [Facts]) -> Facts? {
      let isMax = node.operation == "Max"
      if inputs.count == 2, let i = [0, 1].first(where: { bounds.uniform(node.inputs[$0]) != nil }) {
        let bound = inputs[i].range.lowerBound
        return bounded(inputs[1 - i], isMax ? bound : -.infinity, isMax ? .infinity : bound)
      }
      let lows = inputs.map(\.range.lowerBound), highs = inputs.map(\.range.upperBound)
      guard let low = isMax ? lows.max() : lows.min(), let high = isMax ? highs.max() : highs.min() else { return nil }
      return Facts(range: low...high)
    }

    /// The off value everywhere, but for the on value once for each index.
    private func marked(_ node: Node) -> Facts? {
      guard node.inputs.count == 3, let values = bounds.numbers(node.inputs[2]), values.count == 2 else { return nil }
      let range = min(values[0], values[1])...max(values[0], values[1])
      guard let indices = bounds.count(node.inputs[0]), let all = bounds.count(node.output(0)), all > 0
      else {
        return Facts(range: range)
      }
      return Facts(range: range, mean: Mean(constant: values[0] + (values[1] - values[0]) * indices / all))
    }

    // MARK: Sums

    private func added(_ node: Node, _ inputs: [Facts]) -> Facts? {
      var result = Facts(range: 0...0, mean: Mean(constant: 0))
      for (i, operand) in inputs.enumerated() {
        let x = node.operation == "Sub" && i > 0 ? scaled(operand, by: -1) : operand
        let low = result.range.lowerBound + x.range.lowerBound, high = result.range.upperBound + x.range.upperBound
        guard low <= high else { return nil }
        result.range = low...high
        // Where it is broadcast, each number counts as often.
        result.mean = result.mean.flatMap { sum in x.mean.map { sum + $0 } }
      }
      return node.operation == "Mean" ? scaled(result, by: 1 / Double(max(1, inputs.count))) : result
    }

    private func summed(_ node: Node, _ x: Facts) -> Facts? {
      guard let before = bounds.count(node.inputs[0]), let after = bounds.count(node.output(0)), after > 0
      else {
        return x.range.lowerBound >= 0 ? Facts(range: 0 ... .infinity) : nil
      }
      return scaled(x, by: before / after)
    }

    private func joined(_ node: Node, _ inputs: [Facts]) -> Facts {
      let range = inputs.map(\.range).reduce(inputs[0].range, hull)
      guard let whole = bounds.count(node.output(0)), whole > 0 else { return Facts(range: range) }
      var mean: Mean? = Mean(constant: 0)
      for (value, operand) in zip(node.inputs, inputs) {
        mean = mean.flatMap { sum in
          bounds.count(value).flatMap { count in operand.mean.map { sum + $0 * (count / whole) } }
        }
      }
      return Facts(range: range, mean: mean)
    }

    // MARK: Products

    private func multiplied(_ node: Node, _ inputs: [Facts]) -> Facts? {
      guard inputs.count == 2 else { return nil }
      for (a, b) in [(0, 1), (1, 0)] {
        if let factor = bounds.uniform(node.inputs[b]) { return scaled(inputs[a], by: factor) }
        if let other = bounds.producer(node.inputs[b]), let below = other.input(0),
          other.operation == "Reciprocal"
            || other.operation == "Pow" && other.inputs.count == 2 && bounds.uniform(other.inputs[1]) == -1,
          let shares = normalized(node.inputs[a], inputs[a], by: below)
        {
          return shares
        }
      }
      if node.inputs[0] == node.inputs[1] {
        let x = magnitude(inputs[0]).range
        return monotone(x) { $0 * $0 }
      }
      return products(inputs[0].range, inputs[1].range)
    }

    private func divided(_ node: Node, _ inputs: [Facts]) -> Facts? {
      guard inputs.count == 2 else { return nil }
      if let divisor = bounds.uniform(node.inputs[1]) { return divisor == 0 ? nil : scaled(inputs[0], by: 1 / divisor) }
      if let shares = normalized(node.inputs[0], inputs[0], by: node.inputs[1]) { return shares }
      if let shares = part(node.inputs[0], inputs[0], of: node.inputs[1]) { return shares }
      return inverse(inputs[1].range).map { products(inputs[0].range, $0) }
    }

    /// x / Σ x, x ≥ 0
    private func normalized(_ above: ValueID?, _ x: Facts, by below: ValueID?) -> Facts? {
      guard x.range.lowerBound >= 0, let above, let sum = bounds.sum(below),
        bounds.plain(sum.of)?.value == bounds.plain(above)?.value
      else { return nil }
      guard sum.added < 1e-3, let sums = sum.count, let all = bounds.count(above), all > 0 else {
        return Facts(range: 0...1)
      }
      return Facts(range: 0...1, mean: Mean(constant: sums / all))
    }

    /// x / (x + c), x and c ≥ 0
    private func part(_ above: ValueID?, _ x: Facts, of below: ValueID?) -> Facts? {
      guard x.range.lowerBound >= 0, let node = bounds.producer(below), node.operation == "Add",
        node.inputs.contains(above), node.inputs.contains(where: { bounds.uniform($0).map { $0 >= 0 } ?? false })
      else { return nil }
      return Facts(range: 0...1)
    }

    /// One over the extent of the axis that a Softmax goes over.
    private func share(_ node: Node) -> Mean? {
      guard let source = node.inputs[0], let shape = bounds.shape(source), !shape.isEmpty else { return nil }
      let isFlat = node.operation != "LpNormalization" && bounds.opset(node) < 13
      guard let axis = try? node.int("axis", default: isFlat ? 1 : -1) else { return nil }
      let first = axis < 0 ? axis + shape.count : axis
      guard first >= 0, first < shape.count else { return nil }
      let together = isFlat ? shape[first...].reduce(1) { $0 * Double($1) } : Double(shape[first])
      return together > 0 ? Mean(constant: 1 / together) : nil
    }

    private func isPermutation(_ node: Node) -> Bool {
      guard node.inputs.count == 2, let source = node.inputs[0], let shape = bounds.shape(source), !shape.isEmpty,
        let indices = bounds.integers(node.inputs[1]), let axis = try? node.int("axis", default: 0)
      else { return false }
      let first = axis < 0 ? axis + shape.count : axis
      guard shape.indices.contains(first), indices.count == shape[first] else { return false }
      return Set(indices.map { $0 < 0 ? $0 + shape[first] : $0 }) == Set(0..<shape[first])
    }

    /// x W, W constant: columns bound each result, rows with one sum keep what an image's numbers come to.
    private func product(_ node: Node, _ x: Facts) -> Facts? {
      guard node.inputs.count == 2, let value = node.inputs[1], let shape = bounds.shape(value), shape.count == 2,
        let weights = bounds.numbers(value), weights.count == shape[0] * shape[1],
        (try? node.int("transA", default: 0)) == 0, (try? node.float("alpha", default: 1)) == 1
      else { return nil }
      let isTransposed = (try? node.int("transB", default: 0)) == 1
      let (rows, columns) = isTransposed ? (shape[1], shape[0]) : (shape[0], shape[1])
      func weight(_ i: Int, _ j: Int) -> Double { weights[isTransposed ? j * rows + i : i * columns + j] }
      let sums = (0..<rows).map { i in (0..<columns).reduce(0) { $0 + weight(i, $1) } }
      guard let sum = sums.first, columns > 0 else { return nil }
      let keepsSum = sums.allSatisfy { abs($0 - sum) < 1e-4 }
      let mean = keepsSum ? x.mean.map { $0 * (sum * Double(rows) / Double(columns)) } : nil
      // Shares of 1 mix the weights of a column.
      if x.isShare, let known = x.mean?.known, abs(known * Double(rows) - 1) < 1e-4,
        let low = weights.min(), let high = weights.max()
      {
        return Facts(range: low...high, mean: mean)
      }
      guard x.range.lowerBound.isFinite, x.range.upperBound.isFinite else { return nil }
      var low = Double.infinity, high = -Double.infinity
      for j in 0..<columns {
        let ends = (0..<rows).map { i in
          [x.range.lowerBound * weight(i, j), x.range.upperBound * weight(i, j)]
        }
        low = min(low, ends.reduce(0) { $0 + min($1[0], $1[1]) })
        high = max(high, ends.reduce(0) { $0 + max($1[0], $1[1]) })
      }
      return low <= high ? Facts(range: low...high, mean: mean) : nil
    }
  }
}
