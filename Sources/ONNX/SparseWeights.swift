// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Tensors

/// Tensors of which a file holds the elements that are not zero, and where they stand.
extension WeightReader {
  /// How much a small file may make of itself: what one stored element may come to, beside what is always allowed.
  private static let (expansion, allowance) = (4096, 1 << 24)

  /// The tensor with its zeros.
  func tensor(sparse message: OpaquePointer) throws -> Tensor {
    let info = lp_onnx_sparse_get(message)
    guard let valueMessage = info.values else { throw Failure(.invalidModel, "it has no values") }
    let values = try tensor(valueMessage)
    let shape = try shape(UnsafeBufferPointer(start: info.dimensions, count: info.rank))
    let bytes = shape.count * values.type.byteCount
    guard bytes <= Self.allowance + Self.expansion * values.byteCount else {
      throw Failure(.unsupported, "a sparse tensor of shape \(shape) with \(values.count) elements is too sparse")
    }
    let places = try places(info, values, shape)
    let result = try Tensor(values.type, shape)
    result.data.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    let size = values.type.byteCount
    for (i, place) in places.enumerated() {
      (result.data + place * size).copyMemory(from: values.data + i * size, byteCount: size)
    }
    return result
  }

  /// The name of a sparse tensor is that of its values.
  static func name(sparse message: OpaquePointer) throws -> String {
    guard let values = lp_onnx_sparse_get(message).values else {
      throw Failure(.invalidModel, "a sparse initializer has no values")
    }
    return try string(lp_onnx_tensor_get(values).name, "a tensor's name")
  }

  /// Where each value stands among all elements.
  private func places(_ info: lp_onnx_sparse_info, _ values: Tensor, _ shape: Shape) throws -> [Int] {
    guard values.shape.rank == 1 else {
      throw Failure(.invalidModel, "the values of a sparse tensor have the shape \(values.shape)")
    }
    guard let message = info.indices else {
      guard values.count == 0 else { throw Failure(.invalidModel, "a sparse tensor has no indices") }
      return []
    }
    let indices = try tensor(message)
    guard indices.type == .int64, indices.shape == [values.count] || indices.shape == [values.count, shape.rank] else {
      throw Failure(
        .invalidModel,
        "the indices of a sparse tensor are \(indices.type) \(indices.shape), for \(values.count) values")
    }
    let numbers = indices.array(of: Int64.self).map(Int.init)
    let isLinear = indices.shape.rank == 1
    let extents = isLinear ? [shape.count] : shape.dimensions
    return try (0..<values.count).map { i in
      var place = 0
      for (axis, extent) in extents.enumerated() {
        let index = numbers[i * extents.count + axis]
        guard index >= 0, index < extent else {
          throw Failure(.invalidModel, "a sparse tensor of shape \(shape) has the index \(index)")
        }
        place = place * extent + index
      }
      return place
    }
  }
}
