import Graph
import Tensors

/// What the operators that make a value tell of its numbers: a mean of softmaxes lies between 0 and 1, and its mean is
/// one over the number of classes.
struct ValueBounds {
  /// All numbers lie in `range`; their mean is `mean`, nil where nothing is known of it.
  struct Facts {
    var range: ClosedRange<Double> = -.infinity ... .infinity
    var mean: Mean?

    var isShare: Bool { range.lowerBound >= -1e-4 && range.upperBound <= 1.0001 }
  }

  /// The mean of a value's numbers: a constant, and factors of means of other values that are not known. So 1 − p and p
  /// have the mean ½, whatever p is.
  struct Mean {
    var constant: Double
    var factors: [ValueID: Double] = [:]

    var known: Double? { factors.values.allSatisfy { abs($0) < 1e-9 } ? constant : nil }

    static func + (a: Mean, b: Mean) -> Mean {
      Mean(constant: a.constant + b.constant, factors: a.factors.merging(b.factors) { $0 + $1 })
    }

    static func * (a: Mean, b: Double) -> Mean {
      Mean(constant: a.constant * b, factors: a.factors.mapValues { $0 * b })
    }
  }

  let shape: (ValueID) -> [Int]?
  let constants: (ValueID) -> Tensor?
  let producer: (ValueID?) -> Node?
  /// The version of the operator set that a node speaks.
  let opset: (Node) -> Int

  func of(_ value: ValueID) -> Facts {
    var walk = Walk(bounds: self)
    return walk.of(value, depth: 0)
  }

  /// The numbers of a small constant.
  func numbers(_ value: ValueID?) -> [Double]? {
    guard let value, let tensor = try? constants(value)?.computed(), tensor.type == .float32,
      (1...65536).contains(tensor.count)
    else { return nil }
    let values = tensor.array(of: Float.self)
    return values.allSatisfy(\.isFinite) ? values.map(Double.init) : nil
  }

  /// The number that every element of a constant is.
  func uniform(_ value: ValueID?) -> Double? {
    guard let numbers = numbers(value), numbers.allSatisfy({ $0 == numbers[0] }) else { return nil }
    return numbers[0]
  }

  func integers(_ value: ValueID?) -> [Int]? {
    guard let value, let tensor = constants(value), tensor.type == .int64, tensor.count <= 65536 else { return nil }
    return tensor.array(of: Int64.self).map(Int.init)
  }

  func count(_ value: ValueID?) -> Double? { value.flatMap { shape($0) }.map { $0.reduce(1) { $0 * Double($1) } } }

  /// What `value` is but for factors that broadcast it, small numbers added to keep it from 0, and its shape.
  func plain(_ value: ValueID?) -> (value: ValueID, added: Double)? {
    guard var current = value else { return nil }
    var added = 0.0
    for _ in 0..<16 {
      guard let node = producer(current), let source = node.input(0) else { break }
      switch node.operation {
      case _ where node.onlyMoves, "Expand": current = source
      case "Add", "Max":
        guard node.inputs.count == 2,
          let (a, b) = [(0, 1), (1, 0)].first(where: { uniform(node.inputs[$0.1]).map { $0 >= 0 } ?? false }),
          let other = node.inputs[a], let number = uniform(node.inputs[b])
        else { return (current, added) }
        added += number
        current = other
      default: return (current, added)
      }
    }
    return (current, added)
  }

  /// What `value` sums up, but for what `plain` leaves out, and how many sums there are, if that is known.
  func sum(_ value: ValueID?) -> (of: ValueID, count: Double?, added: Double)? {
    guard let (sum, added) = plain(value), let node = producer(sum), let source = node.input(0) else {
      return nil
    }
    switch node.operation {
    case "ReduceSum", "ReduceL1": return (source, count(sum), added)
    case "MatMul" where node.inputs.count == 2 && uniform(node.inputs[1]) == 1: return (source, count(sum), added)
    default: return nil
    }
  }
}
