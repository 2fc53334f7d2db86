/// Element types, numbered as in ONNX's `TensorProto.DataType`. Each element has a byte or more to itself, also those
/// of fewer bits, which files pack: integers of them lie in a byte as whole numbers, floating-point numbers as its
/// lowest bits.
public enum ElementType: Int32, Sendable, CaseIterable, CustomStringConvertible {
  case float32 = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case bool = 9
  case float16 = 10
  case float64 = 11
  case uint32 = 12
  case uint64 = 13
  case bfloat16 = 16
  case float8e4m3fn = 17
  case float8e4m3fnuz = 18
  case float8e5m2 = 19
  case float8e5m2fnuz = 20
  case uint4 = 21
  case int4 = 22
  case float4e2m1 = 23
  case float8e8m0 = 24
  case uint2 = 25
  case int2 = 26

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool, .uint4, .int4, .uint2, .int2: 1
    case .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float8e8m0, .float4e2m1: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .float32, .int32, .uint32: 4
    case .float64, .int64, .uint64: 8
    }
  }

  /// The type in which values of this type are computed: floating-point types of 16 bits and more in float32. Nothing
  /// but conversions and what moves elements takes those of fewer bits: these stay what they are.
  public var computed: ElementType {
    switch self {
    case .float16, .bfloat16, .float64: .float32
    default: self
    }
  }

  /// The name that ONNX and NumPy users know.
  public var description: String {
    switch self {
    case .float32: "float32"
    case .uint8: "uint8"
    case .int8: "int8"
    case .uint16: "uint16"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .bool: "bool"
    case .float16: "float16"
    case .float64: "float64"
    case .uint32: "uint32"
    case .uint64: "uint64"
    case .bfloat16: "bfloat16"
    case .float8e4m3fn: "float8e4m3fn"
    case .float8e4m3fnuz: "float8e4m3fnuz"
    case .float8e5m2: "float8e5m2"
    case .float8e5m2fnuz: "float8e5m2fnuz"
    case .uint4: "uint4"
    case .int4: "int4"
    case .float4e2m1: "float4e2m1"
    case .float8e8m0: "float8e8m0"
    case .uint2: "uint2"
    case .int2: "int2"
    }
  }

  /// Bits of an element where files pack several into a byte; nil where they do not.
  public var packedBits: Int? {
    switch self {
    case .uint4, .int4, .float4e2m1: 4
    case .uint2, .int2: 2
    default: nil
    }
  }

  /// The integer of 8 bits that holds an integer of fewer; nil for other types.
  public var widened: ElementType? {
    switch self {
    case .uint4, .uint2: .uint8
    case .int4, .int2: .int8
    default: nil
    }
  }

  /// What an integer type of at most 16 bits can hold: the steps of quantised numbers. nil for other types.
  public var steps: ClosedRange<Int>? {
    switch self {
    case .uint8: 0...255
    case .int8: -128...127
    case .uint16: 0...65535
    case .int16: -32768...32767
    case .uint4: 0...15
    case .int4: -8...7
    case .uint2: 0...3
    case .int2: -2...1
    default: nil
    }
  }

  /// The byte of an element of which the lowest bits are given: integers get their sign in all of it.
  public func canonical(_ byte: UInt8) -> UInt8 {
    guard let bits = packedBits else { return byte }
    let top = byte << (8 - bits)
    return widened == .int8 ? UInt8(bitPattern: Int8(bitPattern: top) >> (8 - bits)) : top >> (8 - bits)
  }
}
