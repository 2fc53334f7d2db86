/// A floating-point format of 8 bits or fewer, one element to a byte: what tells one such format from another. A code's
/// bits are, from the lowest, those of the fraction, of the exponent, and the sign.
///
/// Sources: ONNX's tables of Cast; the OCP specifications of 8-bit floating point and of microscaling formats.
public struct SmallFloat: Sendable {
  let fractionBits: Int
  /// The exponent of the smallest normal number, and of all that are smaller.
  let lowestExponent: Int
  /// The code of the greatest number.
  let greatest: UInt8
  /// What infinity and NaN are, in formats that have them.
  let infinity, nan: UInt8?
  /// The bit of the sign; 0 where there is none.
  let sign: UInt8
  /// Whether code 0 is zero: else it is the smallest power of two.
  let hasZero: Bool
  /// Whether zero may be negative; else that code is NaN.
  let hasNegativeZero: Bool
  /// The value of each code.
  public let values: [Float]

  /// How numbers between two of a format are rounded.
  public enum Rounding: Sendable { case nearest, up, down }

  private init(
    fractionBits: Int, lowestExponent: Int, greatest: UInt8, infinity: UInt8? = nil, nan: UInt8? = nil,
    sign: UInt8 = 0x80, hasZero: Bool = true, hasNegativeZero: Bool = true
  ) {
    self.fractionBits = fractionBits
    self.lowestExponent = lowestExponent
    self.greatest = greatest
    self.infinity = infinity
    self.nan = nan
    self.sign = sign
    self.hasZero = hasZero
    self.hasNegativeZero = hasNegativeZero
    values = (0...255).map { code in
      let magnitude = UInt8(code) & (sign == 0 ? 0xff : sign &- 1)
      let isNegative = UInt8(code) & sign != 0
      if !hasNegativeZero, isNegative, magnitude == 0 { return .nan }
      if magnitude == infinity { return isNegative ? -.infinity : .infinity }
      if magnitude > greatest { return .nan }
      // Codes count on through the powers of two, from zero.
      let place = Int(magnitude) + (hasZero ? 0 : 1)
      let power = max(0, (place >> fractionBits) - 1)
      let steps = place - power << fractionBits
      let value = Float(sign: .plus, exponent: lowestExponent + power - fractionBits, significand: Float(steps))
      return isNegative ? -value : value
    }
  }

  static let e4m3fn = SmallFloat(fractionBits: 3, lowestExponent: -6, greatest: 0x7e, nan: 0x7f)
  static let e4m3fnuz = SmallFloat(
    fractionBits: 3, lowestExponent: -7, greatest: 0x7f, nan: 0x80, hasNegativeZero: false)
  static let e5m2 = SmallFloat(fractionBits: 2, lowestExponent: -14, greatest: 0x7b, infinity: 0x7c, nan: 0x7e)
  static let e5m2fnuz = SmallFloat(
    fractionBits: 2, lowestExponent: -15, greatest: 0x7f, nan: 0x80, hasNegativeZero: false)
  static let e2m1 = SmallFloat(fractionBits: 1, lowestExponent: 0, greatest: 7, sign: 8)
  static let e8m0 = SmallFloat(
    fractionBits: 0, lowestExponent: -127, greatest: 0xfe, nan: 0xff, sign: 0, hasZero: false)

  /// Only the exponent, without a sign: what scales are kept in.
  public var isBareExponent: Bool { !hasZero }
  /// The greatest number.
  public var greatestValue: Float { values[Int(greatest)] }

  /// The code of the number of the format that `x` is rounded to. What is beyond the greatest becomes that where
  /// `saturate` says so or the format has nothing else, else infinity or NaN; NaN becomes 0 in a format without. In a
  /// format without a sign only what `x` is without it counts; too small a number becomes the smallest one, where it
  /// does not saturate NaN.
  public func code(_ x: Float, saturate: Bool = true, rounding: Rounding = .nearest) -> UInt8 {
    let code = magnitude(x, saturate, rounding)
    return x.sign == .plus || code == 0 && !hasNegativeZero ? code : code | sign
  }

  private func magnitude(_ x: Float, _ saturate: Bool, _ rounding: Rounding) -> UInt8 {
    if x.isNaN { return nan ?? 0 }
    let beyond = saturate ? greatest : infinity ?? nan ?? greatest
    guard x.isFinite else { return beyond }
    if x == 0 { return hasZero || saturate ? 0 : nan ?? 0 }
    let exponent = max(Int(x.exponent), lowestExponent)
    let steps = Double(sign: .plus, exponent: fractionBits - exponent, significand: Double(x.magnitude))
    let whole: Double =
      switch rounding {
      case .nearest: steps.rounded(.toNearestOrEven)
      case .up: steps.rounded(.up)
      case .down: steps.rounded(.down)
      }
    let place = (exponent - lowestExponent) << fractionBits + Int(whole) - (hasZero ? 0 : 1)
    if place < 0 { return saturate ? 0 : nan ?? 0 }
    return place > Int(greatest) ? beyond : UInt8(place)
  }
}

extension ElementType {
  /// The format of a floating-point type of 8 bits or fewer; nil for other types.
  public var smallFloat: SmallFloat? {
    switch self {
    case .float8e4m3fn: .e4m3fn
    case .float8e4m3fnuz: .e4m3fnuz
    case .float8e5m2: .e5m2
    case .float8e5m2fnuz: .e5m2fnuz
    case .float8e8m0: .e8m0
    case .float4e2m1: .e2m1
    default: nil
    }
  }
}
