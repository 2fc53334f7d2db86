public import CVectors

extension SIMD4: Vector where Scalar == Float {
  @inlinable @inline(__always)
  public static func adding(_ a: Self, _ b: Self) -> Self { lp_add4(a, b) }
  @inlinable @inline(__always)
  public static func subtracting(_ a: Self, _ b: Self) -> Self { lp_subtract4(a, b) }
  @inlinable @inline(__always)
  public static func multiplying(_ a: Self, _ b: Self) -> Self { lp_multiply4(a, b) }
  @inlinable @inline(__always)
  public static func dividing(_ a: Self, _ b: Self) -> Self { lp_divide4(a, b) }
  @inlinable @inline(__always)
  public static func fused(_ sum: Self, _ a: Self, _ b: Self) -> Self { lp_fma4(sum, a, b) }
  @inlinable @inline(__always)
  public static func pick(_ a: Self, lessThan b: Self, _ x: Self, else y: Self) -> Self { lp_pick4(a, b, x, y) }
  @inlinable @inline(__always)
  public static func maximum(_ a: Self, _ b: Self) -> Self { lp_maximum4(a, b) }
  @inlinable @inline(__always)
  public static func minimum(_ a: Self, _ b: Self) -> Self { lp_minimum4(a, b) }
  @inlinable @inline(__always)
  public static func squareRoot(_ x: Self) -> Self { lp_sqrt4(x) }
  @inlinable @inline(__always)
  public static func magnitude(_ x: Self) -> Self { lp_abs4(x) }
  @inlinable @inline(__always)
  public static func magnitude(_ x: Self, signOf y: Self) -> Self { lp_copysign4(x, y) }
  @inlinable @inline(__always)
  public static func powerOfTwo(_ n: Self) -> Self { lp_power_of_two4(n) }
  @inlinable @inline(__always)
  public static func sum(_ x: Self) -> Float { lp_sum4(x) }
  @inlinable @inline(__always)
  public static func load(_ type: StepType, _ p: UnsafeRawPointer) -> Self {
    switch type {
    case .uint8: lp_load_uint8_4(p)
    case .int8: lp_load_int8_4(p)
    case .uint16: lp_load_uint16_4(p)
    case .int16: lp_load_int16_4(p)
    }
  }
  @inlinable @inline(__always)
  public static func store(_ x: Self, _ type: StepType, _ p: UnsafeMutableRawPointer) {
    switch type {
    case .uint8: lp_store_uint8_4(x, p)
    case .int8: lp_store_int8_4(x, p)
    case .uint16: lp_store_uint16_4(x, p)
    case .int16: lp_store_int16_4(x, p)
    }
  }
}

extension SIMD8: Vector where Scalar == Float {
  @inlinable @inline(__always)
  public static func adding(_ a: Self, _ b: Self) -> Self { lp_add8(a, b) }
  @inlinable @inline(__always)
  public static func subtracting(_ a: Self, _ b: Self) -> Self { lp_subtract8(a, b) }
  @inlinable @inline(__always)
  public static func multiplying(_ a: Self, _ b: Self) -> Self { lp_multiply8(a, b) }
  @inlinable @inline(__always)
  public static func dividing(_ a: Self, _ b: Self) -> Self { lp_divide8(a, b) }
  @inlinable @inline(__always)
  public static func fused(_ sum: Self, _ a: Self, _ b: Self) -> Self { lp_fma8(sum, a, b) }
  @inlinable @inline(__always)
  public static func pick(_ a: Self, lessThan b: Self, _ x: Self, else y: Self) -> Self { lp_pick8(a, b, x, y) }
  @inlinable @inline(__always)
  public static func maximum(_ a: Self, _ b: Self) -> Self { lp_maximum8(a, b) }
  @inlinable @inline(__always)
  public static func minimum(_ a: Self, _ b: Self) -> Self { lp_minimum8(a, b) }
  @inlinable @inline(__always)
  public static func squareRoot(_ x: Self) -> Self { lp_sqrt8(x) }
  @inlinable @inline(__always)
  public static func magnitude(_ x: Self) -> Self { lp_abs8(x) }
  @inlinable @inline(__always)
  public static func magnitude(_ x: Self, signOf y: Self) -> Self { lp_copysign8(x, y) }
  @inlinable @inline(__always)
  public static func powerOfTwo(_ n: Self) -> Self { lp_power_of_two8(n) }
  @inlinable @inline(__always)
  public static func sum(_ x: Self) -> Float { lp_sum8(x) }
  @inlinable @inline(__always)
  public static func load(_ type: StepType, _ p: UnsafeRawPointer) -> Self {
    switch type {
    case .uint8: lp_load_uint8_8(p)
    case .int8: lp_load_int8_8(p)
    case .uint16: lp_load_uint16_8(p)
    case .int16: lp_load_int16_8(p)
    }
  }
  @inlinable @inline(__always)
  public static func store(_ x: Self, _ type: StepType, _ p: UnsafeMutableRawPointer) {
    switch type {
    case .uint8: lp_store_uint8_8(x, p)
    case .int8: lp_store_int8_8(x, p)
    case .uint16: lp_store_uint16_8(x, p)
    case .int16: lp_store_int16_8(x, p)
    }
  }
}

extension SIMD16: Vector where Scalar == Float {
  @inlinable @inline(__always)
  public static func adding(_ a: Self, _ b: Self) -> Self { lp_add16(a, b) }
  @inlinable @inline(__always)
  public static func subtracting(_ a: Self, _ b: Self) -> Self { lp_subtract16(a, b) }
  @inlinable @inline(__always)
  public static func multiplying(_ a: Self, _ b: Self) -> Self { lp_multiply16(a, b) }
  @inlinable @inline(__always)
  public static func dividing(_ a: Self, _ b: Self) -> Self { lp_divide16(a, b) }
  @inlinable @inline(__always)
  public static func fused(_ sum: Self, _ a: Self, _ b: Self) -> Self { lp_fma16(sum, a, b) }
  @inlinable @inline(__always)
  public static func pick(_ a: Self, lessThan b: Self, _ x: Self, else y: Self) -> Self { lp_pick16(a, b, x, y) }
  @inlinable @inline(__always)
  public static func maximum(_ a: Self, _ b: Self) -> Self { lp_maximum16(a, b) }
  @inlinable @inline(__always)
  public static func minimum(_ a: Self, _ b: Self) -> Self { lp_minimum16(a, b) }
  @inlinable @inline(__always)
  public static func squareRoot(_ x: Self) -> Self { lp_sqrt16(x) }
  @inlinable @inline(__always)
  public static func magnitude(_ x: Self) -> Self { lp_abs16(x) }
  @inlinable @inline(__always)
  public static func magnitude(_ x: Self, signOf y: Self) -> Self { lp_copysign16(x, y) }
  @inlinable @inline(__always)
  public static func powerOfTwo(_ n: Self) -> Self { lp_power_of_two16(n) }
  @inlinable @inline(__always)
  public static func sum(_ x: Self) -> Float { lp_sum16(x) }
  @inlinable @inline(__always)
  public static func load(_ type: StepType, _ p: UnsafeRawPointer) -> Self {
    switch type {
    case .uint8: lp_load_uint8_16(p)
    case .int8: lp_load_int8_16(p)
    case .uint16: lp_load_uint16_16(p)
    case .int16: lp_load_int16_16(p)
    }
  }
  @inlinable @inline(__always)
  public static func store(_ x: Self, _ type: StepType, _ p: UnsafeMutableRawPointer) {
    switch type {
    case .uint8: lp_store_uint8_16(x, p)
    case .int8: lp_store_int8_16(x, p)
    case .uint16: lp_store_uint16_16(x, p)
    case .int16: lp_store_int16_16(x, p)
    }
  }
}
