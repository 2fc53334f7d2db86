public import Graph
import Tensors

/// What many gradient rules write.
extension Emitter {
  public mutating func add(_ a: ValueID, _ b: ValueID) throws -> ValueID { try self("Add", a, b) }
  public mutating func subtract(_ a: ValueID, _ b: ValueID) throws -> ValueID { try self("Sub", a, b) }
  public mutating func multiply(_ a: ValueID, _ b: ValueID) throws -> ValueID { try self("Mul", a, b) }
  public mutating func divide(_ a: ValueID, _ b: ValueID) throws -> ValueID { try self("Div", a, b) }

  public mutating func scaled(_ a: ValueID, by factor: Float) throws -> ValueID {
    factor == 1 ? a : try multiply(a, constant(factor))
  }

  public mutating func adding(_ number: Float, to a: ValueID) throws -> ValueID { try add(a, constant(number)) }

  public mutating func reshape(_ value: ValueID, _ dimensions: [Int]) throws -> ValueID {
    if try shape(value) == dimensions { return value }
    // An extent of 0 would else be copied.
    return try self("Reshape", value, constant(dimensions), attributes: ["allowzero": .int(1)])
  }

  public mutating func expand(_ value: ValueID, _ dimensions: [Int]) throws -> ValueID {
    try shape(value) == dimensions ? value : self("Expand", value, constant(dimensions))
  }

  public mutating func transpose(_ value: ValueID, _ permutation: [Int]) throws -> ValueID {
    permutation == Array(permutation.indices)
      ? value : try self("Transpose", value, attributes: ["perm": .ints(permutation)])
  }

  /// The last two axes exchanged; once for all that multiply by it, as the steps of a recurrent cell do, where it has no
  /// gradient.
  public mutating func transposed(_ value: ValueID) throws -> ValueID {
    let isShared = !active.contains(value)
    if isShared, let known = transposes[value] { return known }
    let rank = try shape(value).count
    let result = try transpose(value, Array(0..<rank - 2) + [rank - 1, rank - 2])
    if isShared { transposes[value] = result }
    return result
  }

  /// A reduction that keeps the axes, with extent 1. `operation` is ReduceSum, ReduceMean, …
  public mutating func reduce(_ operation: String, _ value: ValueID, axes: [Int]) throws -> ValueID {
    axes.isEmpty ? value : try self(operation, value, constant(axes), attributes: ["keepdims": .int(1)])
  }

  /// The gradient of what was broadcast: summed over the axes along which `dimensions` was repeated.
  public mutating func sum(_ value: ValueID, to dimensions: [Int]) throws -> ValueID {
    let from = try shape(value)
    if from == dimensions { return value }
    let aligned = [Int](repeating: 1, count: from.count - dimensions.count) + dimensions
    let axes = from.indices.filter { aligned[$0] != from[$0] }
    return try reshape(reduce("ReduceSum", value, axes: axes), dimensions)
  }

  public mutating func zeros(like value: ValueID) throws -> ValueID { try zeros(of: shape(value)) }

  public mutating func zeros(of dimensions: [Int]) throws -> ValueID { try expand(constant(Float(0)), dimensions) }

  /// `condition ? a : b`, element by element.
  public mutating func pick(_ condition: ValueID, _ a: ValueID, else b: ValueID) throws -> ValueID {
    try self("Where", condition, a, b)
  }
}
