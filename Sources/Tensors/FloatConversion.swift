/// Floating-point types that are stored but not computed in, to and from float32.
extension Tensor {
  /// This tensor in the type in which it is computed; itself where that is its own type.
  public func computed() throws -> Tensor {
    guard type.computed != type else { return self }
    let result = try Tensor(.float32, shape)
    let target = result.data.assumingMemoryBound(to: Float.self)
    switch type {
    case .float16:
      for i in 0..<count {
        target[i] = Float(Float16(bitPattern: data.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)))
      }
    case .bfloat16:
      for i in 0..<count {
        let bits = data.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
        target[i] = Float(bitPattern: UInt32(bits) << 16)
      }
    default:
      for i in 0..<count { target[i] = Float(data.loadUnaligned(fromByteOffset: 8 * i, as: Double.self)) }
    }
    return result
  }

  /// The same numbers as float32, whatever they are stored in.
  public func floats() throws -> Tensor {
    if type.computed == .float32 { return try computed().aligned() }
    if let format = type.smallFloat { return try Tensor(array(of: UInt8.self).map { format.values[Int($0)] }, shape) }
    return try Tensor(integers().map { Float($0) }, shape)
  }

  /// The same numbers in a type that NumPy has: bfloat16 and shorter floating-point types as float32, integers of fewer
  /// than 8 bits as such of 8.
  public func numbers() throws -> Tensor {
    if let type = type.widened { return try Tensor(type, shape, storage: storage, byteOffset: byteOffset) }
    return type == .bfloat16 || type.smallFloat != nil ? try floats() : self
  }

  /// The same numbers in double precision, whatever they are stored in.
  public func doubles() throws -> [Double] {
    type == .float64 ? array(of: Double.self) : try floats().array(of: Float.self).map { Double($0) }
  }

  public init(_ values: [Double], _ shape: Shape) throws { try self.init(values, .float64, shape) }

  /// A float32 tensor in the type that a model declares; itself where that is float32 or no such type.
  public func converted(to declared: ElementType) throws -> Tensor {
    guard type == .float32, declared.computed == .float32, declared != .float32 else { return self }
    let result = try Tensor(declared, shape)
    let source = data.assumingMemoryBound(to: Float.self)
    for i in 0..<count {
      switch declared {
      case .float16: result.data.storeBytes(of: Float16(source[i]).bitPattern, toByteOffset: 2 * i, as: UInt16.self)
      case .bfloat16: result.data.storeBytes(of: source[i].bfloat16Bits, toByteOffset: 2 * i, as: UInt16.self)
      default: result.data.storeBytes(of: Double(source[i]), toByteOffset: 8 * i, as: Double.self)
      }
    }
    return result
  }
}

extension Float {
  /// The nearest bfloat16, ties to even; NaN stays NaN.
  public var bfloat16Bits: UInt16 {
    let bits = bitPattern
    if isNaN { return UInt16(bits >> 16) | 0x40 }
    return UInt16((bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
  }

  /// What the nearest bfloat16 lacks, as the nearest bfloat16 of that; 0 where the nearest is infinite or NaN.
  public var bfloat16Rest: UInt16 {
    let nearest = Float(bitPattern: UInt32(bfloat16Bits) << 16)
    return nearest.isFinite ? (self - nearest).bfloat16Bits : 0
  }
}
