import Tensors

extension Tensor {
  /// A NumPy file, format 1.0; bfloat16, which NumPy lacks, becomes float32.
  func npy() throws -> [UInt8] {
    let tensor = type == .bfloat16 ? try computed() : self
    let extents = tensor.shape.dimensions.map(String.init).joined(separator: ", ")
    let shape = tensor.shape.rank == 1 ? "(\(extents),)" : "(\(extents))"
    var header = "{'descr': '\(tensor.type.npyDescription)', 'fortran_order': False, 'shape': \(shape), }"
    // The data begin at a multiple of 64, after a newline.
    let before = 10
    let end = (before + header.utf8.count + 1 + 63) / 64 * 64
    header += String(repeating: " ", count: end - before - header.utf8.count - 1) + "\n"
    let length = UInt16(header.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(header.utf8)
      + tensor.bytes
  }
}

extension ElementType {
  /// NumPy's name of the type, little-endian.
  fileprivate var npyDescription: String {
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
    case .float32, .bfloat16: "<f4"
    case .float64: "<f8"
    }
  }
}
