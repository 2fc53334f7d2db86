import Tensors

/// A Swift type that elements of a tensor may have.
protocol Number: Numeric, Comparable, BitwiseCopyable, Sendable {
  /// The nearest number towards zero; floats beyond the range of an integer type wrap as NumPy's do or clamp.
  init(converting value: Float)
  init(converting value: Double)
  init<I: BinaryInteger>(converting value: I)
  func converted<D: Number>(to _: D.Type) -> D
  /// The sum; that of integers wraps around.
  func adding(_ other: Self) -> Self
}

extension Float: Number {
  init(converting value: Float) { self = value }
  init(converting value: Double) { self = Float(value) }
  init<I: BinaryInteger>(converting value: I) { self = Float(value) }
  func converted<D: Number>(to _: D.Type) -> D { D(converting: self) }
  func adding(_ other: Float) -> Float { self + other }
}

extension Number where Self: FixedWidthInteger {
  init(converting value: Float) { self.init(converting: Double(value)) }

  init(converting value: Double) {
    if value.isNaN {
      self = 0
    } else if value >= 9_223_372_036_854_775_808 {
      self = Self(truncatingIfNeeded: value < 18_446_744_073_709_551_616 ? UInt64(value) : .max)
    } else {
      self = Self(truncatingIfNeeded: value > -9_223_372_036_854_775_808 ? Int64(value) : .min)
    }
  }

  init<I: BinaryInteger>(converting value: I) { self.init(truncatingIfNeeded: value) }
  func converted<D: Number>(to _: D.Type) -> D { D(converting: self) }
  func adding(_ other: Self) -> Self { self &+ other }
}

extension Int8: Number {}
extension Int16: Number {}
extension Int32: Number {}
extension Int64: Number {}
extension UInt8: Number {}
extension UInt16: Number {}
extension UInt32: Number {}
extension UInt64: Number {}

/// Code written once for all element types. A protocol and not a closure, so that the compiler makes one fast
/// version for each type.
protocol NumberBody {
  associatedtype Result
  func callAsFunction<T: Number>(_ type: T.Type) throws -> Result
}

/// Code written once for all integer types.
protocol IntegerBody {
  associatedtype Result
  func callAsFunction<T: Number & FixedWidthInteger>(_ type: T.Type) throws -> Result
}

extension ElementType {
  /// Calls `body` with the Swift type of the elements; that of bool is UInt8 (0 or 1).
  func withNumber<B: NumberBody>(_ body: B) throws -> B.Result {
    switch self {
    case .float32: return try body(Float.self)
    case .int8: return try body(Int8.self)
    case .int16: return try body(Int16.self)
    case .int32: return try body(Int32.self)
    case .int64: return try body(Int64.self)
    case .uint8, .bool: return try body(UInt8.self)
    case .uint16: return try body(UInt16.self)
    case .uint32: return try body(UInt32.self)
    case .uint64: return try body(UInt64.self)
    default: throw Failure(.unsupported, "\(self) is not supported here")
    }
  }

  func withInteger<B: IntegerBody>(_ body: B) throws -> B.Result {
    switch self {
    case .int8: return try body(Int8.self)
    case .int16: return try body(Int16.self)
    case .int32: return try body(Int32.self)
    case .int64: return try body(Int64.self)
    case .uint8: return try body(UInt8.self)
    case .uint16: return try body(UInt16.self)
    case .uint32: return try body(UInt32.self)
    case .uint64: return try body(UInt64.self)
    default: throw Failure(.unsupported, "\(self) is not supported here; integers are")
    }
  }

  /// Calls `body` with an integer type as wide as the elements: for code that only moves them.
  func withBits<B: IntegerBody>(_ body: B) throws -> B.Result {
    switch byteCount {
    case 1: return try body(UInt8.self)
    case 2: return try body(UInt16.self)
    case 4: return try body(UInt32.self)
    default: return try body(UInt64.self)
    }
  }

  /// Whether it is computed with as an integer: those of fewer than 8 bits are only converted and moved.
  var isInteger: Bool { computed != .float32 && self != .bool && smallFloat == nil && packedBits == nil }
}
