/// A dense row-major array of one element type. A value: its bytes are never changed once it is shared.
public struct Tensor: Sendable {
  public let type: ElementType
  public let shape: Shape
  public let storage: Storage
  public let byteOffset: Int

  /// A view of `storage`; throws where the storage is too short.
  public init(_ type: ElementType, _ shape: Shape, storage: Storage, byteOffset: Int = 0) throws {
    guard byteOffset >= 0, shape.count * type.byteCount <= storage.byteCount - byteOffset else {
      throw Failure(
        .invalidModel,
        "a \(type) tensor of shape \(shape) needs \(shape.count * type.byteCount) bytes, "
          + "but \(max(0, storage.byteCount - byteOffset)) are there")
    }
    self.type = type
    self.shape = shape
    self.storage = storage
    self.byteOffset = byteOffset
  }

  /// Uninitialised memory.
  public init(_ type: ElementType, _ shape: Shape) throws {
    try self.init(type, shape, storage: Storage(byteCount: shape.count * type.byteCount))
  }

  public init<T>(_ values: [T], _ type: ElementType, _ shape: Shape) throws {
    precondition(values.count == shape.count && MemoryLayout<T>.stride == type.byteCount)
    try self.init(type, shape)
    values.withUnsafeBytes { if let base = $0.baseAddress { data.copyMemory(from: base, byteCount: $0.count) } }
  }

  /// The memory of `values` as it is.
  public init(_ values: Buffer<Float>, _ shape: Shape) throws {
    precondition(values.count == shape.count)
    try self.init(.float32, shape, storage: values.storage)
  }

  /// The numbers of a float32 tensor that owns its memory, which is not copied.
  public func buffer() -> Buffer<Float> {
    precondition(type == .float32 && byteOffset == 0)
    return Buffer(storage: storage, count: count)
  }

  public init(_ values: [Float], _ shape: Shape) throws { try self.init(values, .float32, shape) }
  public init(_ values: [Int64], _ shape: Shape) throws { try self.init(values, .int64, shape) }

  /// The first byte. Weights in a file may lie at any address: see `isAligned`.
  public var data: UnsafeMutableRawPointer { storage.base + byteOffset }
  public var count: Int { shape.count }
  public var byteCount: Int { shape.count * type.byteCount }
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: byteCount) }

  /// Tells that these bytes will hardly be read again: those of a mapped file then take no memory until they are.
  public func release() { storage.release(bytes) }

  /// Whether typed pointers may be made of `data`.
  public var isAligned: Bool { Int(bitPattern: data) % type.byteCount == 0 }

  /// This tensor, or a copy of it where its address does not suit its element type.
  public func aligned() throws -> Tensor {
    if isAligned { return self }
    let copy = try Tensor(type, shape)
    copy.data.copyMemory(from: data, byteCount: byteCount)
    return copy
  }

  /// This tensor, or a copy of it where its memory is borrowed.
  public func owned() throws -> Tensor {
    guard storage.isBorrowed else { return self }
    let copy = try Tensor(type, shape)
    copy.data.copyMemory(from: data, byteCount: byteCount)
    return copy
  }

  /// The same bytes under another shape of as many elements.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.count == self.shape.count)
    // The new shape needs just the bytes that are there.
    return try! Tensor(type, shape, storage: storage, byteOffset: byteOffset)
  }

  /// The elements, read as `T`, which must be as wide as the element type.
  public func array<T>(of _: T.Type = T.self) -> [T] {
    precondition(MemoryLayout<T>.stride == type.byteCount)
    // Else the one empty array of the process would be written to, which the thread sanitizer reports.
    guard count > 0 else { return [] }
    return [T](unsafeUninitializedCapacity: count) { elements, filled in
      UnsafeMutableRawBufferPointer(elements).copyMemory(from: UnsafeRawBufferPointer(start: data, count: byteCount))
      filled = count
    }
  }

  /// The elements of an integer tensor, for shapes, axes and the like.
  public func integers() throws -> [Int] {
    switch type {
    case .int64: return array(of: Int64.self).map(Int.init)
    case .int32: return array(of: Int32.self).map(Int.init)
    case .int16: return array(of: Int16.self).map(Int.init)
    case .int8, .int4, .int2: return array(of: Int8.self).map(Int.init)
    case .uint8, .bool, .uint4, .uint2: return array(of: UInt8.self).map(Int.init)
    case .uint16: return array(of: UInt16.self).map(Int.init)
    case .uint32: return array(of: UInt32.self).map(Int.init)
    case .uint64: return array(of: UInt64.self).map { Int(clamping: $0) }
    default: throw Failure(.invalidModel, "a tensor of integers was expected, not of \(type)")
    }
  }
}
