public import Parallel

extension Kernels {
  /// Copies a dense tensor of `shape` so that output axis i is source axis `permutation[i]`. Elements of 1, 2, 4
  /// or 8 bytes.
  public func permute(
    _ source: UnsafeRawPointer, shape: [Int], permutation: [Int], elementSize: Int,
    into output: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 1, to: 0, by: -1) { strides[axis - 1] = strides[axis] * shape[axis] }
    let extents = permutation.map { shape[$0] }
    let steps = permutation.map { strides[$0] }
    for i in 0..<shape.reduce(1, *) {
      var rest = i
      var offset = 0
      for axis in extents.indices.reversed() {
        offset += rest % extents[axis] * steps[axis]
        rest /= extents[axis]
      }
      (output + i * elementSize).copyMemory(from: source + offset * elementSize, byteCount: elementSize)
    }
  }
}
