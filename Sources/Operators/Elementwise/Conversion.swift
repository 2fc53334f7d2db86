import Tensors

/// Copies that change the element type.
enum Conversion {
  typealias Loop = @Sendable (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void

  /// How numbers become those of a short floating-point type.
  struct Rule {
    /// Whether what is beyond its greatest number becomes that.
    var saturate = true
    /// How bare exponents are rounded; other formats round to the nearest, halves to even.
    var exponents = SmallFloat.Rounding.up
  }

  static func loop(
    from source: ElementType, to target: ElementType, count: Int, _ rule: Rule = Rule()
  ) throws -> Loop {
    if let format = source.smallFloat {
      return try target.withTarget(FromTo(source: SmallFloatSource(values: format.values), count: count), rule)
    }
    return try (source.widened ?? source).withNumber(From(target: target, count: count, rule: rule))
  }

  private struct From: NumberBody {
    let target: ElementType
    let count: Int
    let rule: Rule

    func callAsFunction<S: Number>(_: S.Type) throws -> Loop {
      try target.withTarget(FromTo(source: NumberSource<S>(), count: count), rule)
    }
  }

  fileprivate struct FromTo<S: ConversionSource>: ConversionBody {
    let source: S
    let count: Int

    func callAsFunction<T: ConversionTarget>(_ target: T) -> Loop {
      { [source, count] from, to in
        let from = from.assumingMemoryBound(to: S.Stored.self)
        let to = to.assumingMemoryBound(to: T.Stored.self)
        for i in 0..<count { to[i] = target.stored(source.number(from[i])) }
      }
    }
  }
}

/// How stored elements are numbers.
private protocol ConversionSource: Sendable {
  associatedtype Stored
  associatedtype Value: Number
  func number(_ stored: Stored) -> Value
}

/// How numbers are stored.
private protocol ConversionTarget: Sendable {
  associatedtype Stored
  func stored<S: Number>(_ number: S) -> Stored
}

private protocol ConversionBody {
  func callAsFunction<T: ConversionTarget>(_ target: T) -> Conversion.Loop
}

private struct NumberSource<S: Number>: ConversionSource {
  func number(_ stored: S) -> S { stored }
}

private struct SmallFloatSource: ConversionSource {
  let values: [Float]
  func number(_ stored: UInt8) -> Float { values[Int(stored)] }
}

private struct NumberTarget<D: Number>: ConversionTarget {
  func stored<S: Number>(_ number: S) -> D { number.converted(to: D.self) }
}

private struct TruthTarget: ConversionTarget {
  func stored<S: Number>(_ number: S) -> UInt8 { number == .zero ? 0 : 1 }
}

/// Integers of fewer than 8 bits keep their lowest bits, as wider ones do.
private struct ShortIntegerTarget: ConversionTarget {
  let type: ElementType
  func stored<S: Number>(_ number: S) -> UInt8 { type.canonical(number.converted(to: UInt8.self)) }
}

private struct SmallFloatTarget: ConversionTarget {
  let format: SmallFloat
  let rule: Conversion.Rule

  func stored<S: Number>(_ number: S) -> UInt8 {
    format.code(
      number.converted(to: Float.self), saturate: rule.saturate,
      rounding: format.isBareExponent ? rule.exponents : .nearest)
  }
}

private struct NumberTargetBody<B: ConversionBody>: NumberBody {
  let body: B
  func callAsFunction<D: Number>(_: D.Type) -> Conversion.Loop { body(NumberTarget<D>()) }
}

extension ElementType {
  fileprivate func withTarget<B: ConversionBody>(_ body: B, _ rule: Conversion.Rule) throws -> Conversion.Loop {
    if self == .bool { return body(TruthTarget()) }
    if let format = smallFloat { return body(SmallFloatTarget(format: format, rule: rule)) }
    if packedBits != nil { return body(ShortIntegerTarget(type: self)) }
    return try withNumber(NumberTargetBody(body: body))
  }
}
