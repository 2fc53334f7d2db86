extension Kernels.Composition {
  /// The function itself, or one with vector code of its own that is the same but for rounding.
  public var function: Kernels.Unary {
    let (factor, values) = product(steps.count)
    guard let i = values.firstIndex(of: 0), values.count == 2 else { return .composed(self) }
    let other = values[1 - i]
    if factor == 1, case .unary(.sigmoid, 0)? = step(other) { return .silu }
    if factor == 1, case .unary(.tanh, let inner)? = step(other), case .unary(.softplus, 0)? = step(inner) {
      return .mish
    }
    guard factor == 0.5, let inner = plusOne(other) else { return .composed(self) }
    if case .unary(.erf, let inner)? = step(inner), isMultiple(inner, 0.5.squareRoot(), of: [0]) { return .gelu }
    if case .unary(.tanh, let inner)? = step(inner), isInnerOfGelu(inner) { return .geluTanh }
    return .composed(self)
  }

  /// `sqrt(2 / π) (x + 0.044715 x³)`, or `sqrt(2 / π) x (1 + 0.044715 x²)`.
  private func isInnerOfGelu(_ value: Int) -> Bool {
    let (factor, values) = product(value)
    guard isNear(factor, (2 / Double.pi).squareRoot()) else { return false }
    if values.count == 1, case .binary(.add, .value(let a), .value(let b))? = step(values[0]), min(a, b) == 0 {
      return isMultiple(max(a, b), 0.044715, of: [0, 0, 0])
    }
    guard values.count == 2, min(values[0], values[1]) == 0, let square = plusOne(max(values[0], values[1])) else {
      return false
    }
    return isMultiple(square, 0.044715, of: [0, 0])
  }

  /// The step that makes a value; nil for the operand.
  private func step(_ value: Int) -> Step? { value > 0 ? steps[value - 1] : nil }

  /// v where `value` is v + 1.
  private func plusOne(_ value: Int) -> Int? {
    switch step(value) {
    case .binary(.add, .value(let v), .constant(1))?, .binary(.add, .constant(1), .value(let v))?: v
    default: nil
    }
  }

  private func isMultiple(_ value: Int, _ factor: Double, of values: [Int]) -> Bool {
    let found = product(value)
    return found.values == values && isNear(found.factor, factor)
  }

  /// As near as constants in float32 come, also after a division by another.
  private func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-6 * b }

  /// `value` as a number times values that are no products themselves.
  private func product(_ value: Int) -> (factor: Double, values: [Int]) {
    switch step(value) {
    case .binary(.multiply, let a, let b)?:
      let (a, b) = (product(a), product(b))
      // Squares of squares of squares grow faster than anybody writes them.
      guard a.values.count + b.values.count <= 4 else { return (1, [value]) }
      return (a.factor * b.factor, a.values + b.values)
    case .binary(.divide, let a, .constant(let b))?:
      let a = product(a)
      return (a.factor / Double(b), a.values)
    default: return (1, [value])
    }
  }

  private func product(_ operand: Operand) -> (factor: Double, values: [Int]) {
    switch operand {
    case .value(let i): product(i)
    case .constant(let c): (Double(c), [])
    }
  }
}
