import Kernels
import Parallel
import Testing

struct PermuteTests {
  static let cases: [(shape: [Int], permutation: [Int])] = [
    ([], []), ([5], [0]), ([3, 4], [1, 0]), ([2, 3, 35, 18], [0, 2, 3, 1]), ([2, 17, 19, 3], [0, 3, 1, 2]),
    ([2, 3, 4, 5, 6], [4, 2, 0, 3, 1]), ([1, 40, 1, 33], [3, 0, 1, 2]), ([6, 5, 4], [1, 0, 2]),
    ([3, 0, 2], [2, 1, 0]), ([2, 3, 30, 41], [0, 2, 3, 1]),
  ]

  @Test("A permuted tensor has each element in its place", arguments: cases)
  func permute(shape: [Int], permutation: [Int]) throws {
    let kernels = try Kernels.selected()
    check(kernels, shape, permutation, UInt8.self)
    check(kernels, shape, permutation, UInt16.self)
    check(kernels, shape, permutation, UInt32.self)
    check(kernels, shape, permutation, UInt64.self)
  }

  func check<T: FixedWidthInteger>(_ kernels: Kernels, _ shape: [Int], _ permutation: [Int], _: T.Type) {
    let count = shape.reduce(1, *)
    let source = (0..<count).map { T(truncatingIfNeeded: $0) }
    var expected = source
    let extents = permutation.map { shape[$0] }
    for i in 0..<count {
      var index = [Int](repeating: 0, count: shape.count)
      var rest = i
      for axis in extents.indices.reversed() {
        index[permutation[axis]] = rest % extents[axis]
        rest /= extents[axis]
      }
      expected[i] = source[zip(index, shape).reduce(0) { $0 * $1.1 + $1.0 }]
    }
    for threads in 1...2 {
      let got = withAligned(count * MemoryLayout<T>.size) { memory in
        source.withUnsafeBytes {
          kernels.permute(
            $0.baseAddress ?? UnsafeRawPointer(memory), shape: shape, permutation: permutation,
            elementSize: MemoryLayout<T>.size, into: memory, Parallel(threads: threads))
        }
        return Array(UnsafeBufferPointer(start: memory.assumingMemoryBound(to: T.self), count: count))
      }
      #expect(got == expected, "\(shape) \(permutation) \(T.self)")
    }
  }
}
