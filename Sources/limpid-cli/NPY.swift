import Documents
import Tensors

extension Tensor {
  /// A NumPy file, format 1.0; types that NumPy lacks become such as hold every value of theirs.
  func npy() throws -> [UInt8] {
    let tensor = try numbers()
    let extents = tensor.shape.dimensions.map(String.init).joined(separator: ", ")
    guard let description = tensor.type.npyDescription else { throw Failure(.internal, "NumPy has no \(tensor.type)") }
    let shape = tensor.shape.rank == 1 ? "(\(extents),)" : "(\(extents))"
    var header = "{'descr': '\(description)', 'fortran_order': False, 'shape': \(shape), }"
    // The data begin at a multiple of 64, after a newline.
    let before = 10
    let end = (before + header.utf8.count + 1).roundedUp(to: 64)
    header += String(repeating: " ", count: end - before - header.utf8.count - 1) + "\n"
    let length = UInt16(header.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(header.utf8)
      + tensor.bytes
  }
}

extension ElementType {
  /// NumPy's name of the type, little-endian; nil where it has none.
  fileprivate var npyDescription: String? {
    switch self {
    case .bool: "|b1"
    case .uint8: "|u1"
    case .int8: "|i1"
    case .uint16: "<u2"
    case .int16: "<i2"
    case .uint32: "<u4"
    case .int32: "<i4"
    case .uint64: "<u8"
    case .int64: "<i8"
    case .float16: "<f2"
    case .float32: "<f4"
    case .float64: "<f8"
    default: nil
    }
  }
}

extension Tensor {
  /// A NumPy file, formats 1 to 3, little-endian and in C order; what `numpy.save` writes of numbers.
  init(npy path: String) throws {
    self = try locating(quoted(path)) {
      let file = try Storage(path: path.systemName)
      return try file.withBytes { try Self.parse($0) }
    }
  }

  private static func parse(_ bytes: UnsafeRawBufferPointer) throws -> Tensor {
    let damaged = Failure(.invalidArgument, "it is no NumPy file of numbers (.npy), or is damaged")
    guard bytes.count >= 10, bytes.starts(with: [0x93] + Array("NUMPY".utf8)) else { throw damaged }
    let lengthBytes = bytes[6] == 1 ? 2 : 4
    guard bytes.count >= 8 + lengthBytes else { throw damaged }
    let length = (0..<lengthBytes).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
    let start = 8 + lengthBytes + length
    guard start <= bytes.count else { throw damaged }
    let header = String(decoding: bytes[(8 + lengthBytes)..<start], as: UTF8.self)
    guard let name = field("descr", header)?.split(separator: "'", omittingEmptySubsequences: false).dropFirst().first,
      let order = field("fortran_order", header), let extents = field("shape", header)
    else { throw damaged }
    let types: [ElementType] = [
      .bool, .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64, .float16, .float32, .float64,
    ]
    guard let type = types.first(where: { $0.npyDescription == String(name) }) else {
      throw Failure(.invalidArgument, "its numbers are of type \(quoted(String(name))), which is not read")
    }
    guard order.hasPrefix("False") else {
      throw Failure(.invalidArgument, "it is in Fortran order; save numpy.ascontiguousarray of it")
    }
    let inside = extents.drop { $0 != "(" }.dropFirst().prefix { $0 != ")" }
    let dimensions = try inside.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
      .map { (text: String) throws -> Int in
        guard let extent = Int(text) else { throw damaged }
        return extent
      }
    let tensor = try Tensor(type, Shape(checking: dimensions))
    guard bytes.count - start == tensor.byteCount else { throw damaged }
    if tensor.byteCount > 0, let base = bytes.baseAddress {
      tensor.data.copyMemory(from: base + start, byteCount: tensor.byteCount)
    }
    return tensor
  }

  /// What stands behind a key of the header's dictionary.
  private static func field(_ key: String, _ header: String) -> Substring? {
    let parts = header.split(separator: "'\(key)':", maxSplits: 1, omittingEmptySubsequences: false)
    return parts.count == 2 ? parts[1].drop { $0 == " " } : nil
  }
}
