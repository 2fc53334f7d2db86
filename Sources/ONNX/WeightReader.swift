// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Tensors

/// Makes tensors of TensorProto messages.
struct WeightReader {
  private let file: Storage
  private let external: ExternalData?

  /// `file` is the model; without `external`, external data is refused.
  init(_ file: Storage, external: ExternalData?) {
    self.file = file
    self.external = external
  }

  /// A tensor that borrows from the file where its elements lie there as they are in memory.
  func tensor(_ message: OpaquePointer) throws -> Tensor {
    let info = lp_onnx_tensor_get(message)
    let type = try elementType(info.type)
    let shape = try shape(UnsafeBufferPointer(start: info.dimensions, count: info.rank))
    guard let bits = type.packedBits else { return try tensor(message, info, type, shape) }
    return try unpacked(message, info, type, shape, bits: bits)
  }

  /// A tensor of which the file packs several elements into a byte.
  private func unpacked(
    _ message: OpaquePointer, _ info: lp_onnx_tensor_info, _ type: ElementType, _ shape: Shape, bits: Int
  ) throws -> Tensor {
    let perByte = 8 / bits
    let bytes = try tensor(message, info, .uint8, Shape(checking: [(shape.count + perByte - 1) / perByte]))
      .array(of: UInt8.self)
    return try Tensor(
      (0..<shape.count).map { type.canonical(bytes[$0 / perByte] >> (bits * ($0 % perByte))) }, type, shape)
  }

  private func tensor(_ message: OpaquePointer, _ info: lp_onnx_tensor_info, _ type: ElementType, _ shape: Shape) throws
    -> Tensor
  {
    guard info.is_segment == 0 else { throw Failure(.unsupported, "tensors in segments are not supported") }
    let size = shape.count * type.byteCount
    if info.is_external != 0 { return try externalTensor(message, info, type, shape) }
    if info.has_raw != 0 {
      guard let length = Int(exactly: info.raw_size), let offset = Int(exactly: info.raw_offset), length == size
      else { throw wrongSize(type, shape, "bytes", size, info.raw_size) }
      return try Tensor(type, shape, storage: file, byteOffset: offset)
    }
    return try typedTensor(info, type, shape)
  }

  func shape(_ extents: UnsafeBufferPointer<Int64>) throws -> Shape {
    do { return try Shape(checking: extents.prefix(65).map(Int.init)) } catch let failure as Failure {
      throw Failure(.invalidModel, failure.message)
    }
  }

  private func wrongSize(
    _ type: ElementType, _ shape: Shape, _ unit: String, _ needed: Int, _ found: some BinaryInteger
  ) -> Failure {
    Failure(.invalidModel, "\(type) of shape \(shape) takes \(needed) \(unit), but the file holds \(found)")
  }

  /// Elements in the typed fields of the message, of which small types share `int32_data`.
  private func typedTensor(_ info: lp_onnx_tensor_info, _ type: ElementType, _ shape: Shape) throws -> Tensor {
    switch type {
    case .float32: try copy(info.floats, info.float_count, type, shape) { $0 }
    case .float64: try copy(info.doubles, info.double_count, type, shape) { $0 }
    case .int64: try copy(info.int64s, info.int64_count, type, shape) { $0 }
    case .uint64: try copy(info.uint64s, info.uint64_count, type, shape) { $0 }
    case .uint32: try copy(info.uint64s, info.uint64_count, type, shape) { UInt32(truncatingIfNeeded: $0) }
    case .int32: try copy(info.int32s, info.int32_count, type, shape) { $0 }
    case .int16, .uint16, .float16, .bfloat16:
      try copy(info.int32s, info.int32_count, type, shape) { UInt16(truncatingIfNeeded: $0) }
    case .bool: try copy(info.int32s, info.int32_count, type, shape) { $0 == 0 ? UInt8(0) : 1 }
    default: try copy(info.int32s, info.int32_count, type, shape) { UInt8(truncatingIfNeeded: $0) }
    }
  }

  private func copy<Stored, Element>(
    _ start: UnsafePointer<Stored>?, _ count: Int, _ type: ElementType, _ shape: Shape,
    _ convert: (Stored) -> Element
  ) throws -> Tensor {
    guard count == shape.count else { throw wrongSize(type, shape, "elements", shape.count, count) }
    return try Tensor(UnsafeBufferPointer(start: start, count: count).map(convert), type, shape)
  }

  private func externalTensor(
    _ message: OpaquePointer, _ info: lp_onnx_tensor_info, _ type: ElementType, _ shape: Shape
  ) throws -> Tensor {
    guard let external else {
      throw Failure(.invalidModel, "its data is in another file; a model in memory cannot have external data")
    }
    var entries: [String: String] = [:]
    for i in 0..<info.external_count {
      let entry = lp_onnx_tensor_external(message, i)
      let key = try string(entry.key, "a key of its external data")
      let value = try string(entry.value, "the \(quoted(key)) of its external data")
      guard entries.updateValue(value, forKey: key) == nil else {
        throw Failure(.invalidModel, "the \(quoted(key)) of its external data is given twice")
      }
    }
    guard let location = entries["location"] else {
      throw Failure(.invalidModel, "its external data has no location")
    }
    let storage = try external.file(location)
    let size = shape.count * type.byteCount
    let offset = try entries["offset"].map { try byteCount($0, "offset") } ?? 0
    let length = try entries["length"].map { try byteCount($0, "length") } ?? size
    guard length == size else { throw wrongSize(type, shape, "bytes", size, length) }
    guard offset <= storage.byteCount, length <= storage.byteCount - offset else {
      throw Failure(
        .invalidModel,
        "its \(length) bytes at \(offset) lie outside of the external data file \(quoted(location)), "
          + "which has \(storage.byteCount)")
    }
    return try Tensor(type, shape, storage: storage, byteOffset: offset)
  }

  /// Digits only: `Int` would also take a sign.
  private func byteCount(_ text: String, _ key: String) throws -> Int {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let count = Int(text)
    else { throw Failure(.invalidModel, "the \(key) of its external data is not a number of bytes: \(quoted(text))") }
    return count
  }
}

/// The element type that a file means by `code`; throws where the runtime has none such.
func elementType(_ code: Int32) throws -> ElementType {
  if let type = ElementType(rawValue: code) { return type }
  let unsupported: [Int32: String] = [
    8: "string", 14: "complex64", 15: "complex128", 27: "float6e2m3", 28: "float6e3m2",
  ]
  if code == 0 { throw Failure(.invalidModel, "it has no element type") }
  guard let name = unsupported[code] else { throw Failure(.invalidModel, "unknown element type \(code)") }
  throw Failure(.unsupported, "elements of type \(name) are not supported")
}
