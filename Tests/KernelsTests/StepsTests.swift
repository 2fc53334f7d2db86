import Kernels
import Parallel
import Tensors
import Testing

/// Quantisation against the formulas of ONNX, one number at a time.
@Suite struct StepsTests {
  static let types: [ElementType] = [.uint8, .int8, .uint16, .int16, .uint4, .int4, .uint2, .int2]
  /// [outer, axis, inner]: one scale, scales by the last axis, by an axis before, with and without a rest.
  static let shapes = [[1, 1, 1], [1, 1, 37], [3, 19, 1], [2, 5, 33], [1, 16, 16], [4, 1, 3]]

  private func range(_ type: ElementType) -> ClosedRange<Double> {
    switch type {
    case .uint8: 0...255
    case .int8: -128...127
    case .uint16: 0...65535
    case .int16: -32768...32767
    case .uint4: 0...15
    case .int4: -8...7
    case .uint2: 0...3
    default: -2...1
    }
  }

  private func number(_ tensor: Tensor, _ i: Int) throws -> Double { Double(try tensor.integers()[i]) }

  @Test("Numbers are rounded, shifted and clamped to steps, and brought back", arguments: variants, types)
  func quantization(kernels: Kernels, type: ElementType) throws {
    var g = Generator(5)
    for shape in Self.shapes {
      let (outer, axis, inner) = (shape[0], shape[1], shape[2])
      let count = outer * axis * inner
      let steps = try #require(Kernels.Steps(type, outer: outer, axis: axis, inner: inner))
      let scale = g.floats(axis).map { 0.01 + $0.magnitude }
      let zero = (0..<axis).map { Float(Self.types.firstIndex(of: type)! % 2 == 0 ? $0 * 7 % 200 : $0 % 20 - 10) }
      // Halves, ends of the range, and what no integer holds.
      var x = g.floats(count).map { $0 * 300 }
      for i in stride(from: 0, to: count, by: 3) { x[i] = scale[i / inner % axis] * (Float(i) + 0.5) }
      x[count / 2] = 1e30
      let quantized = try Tensor(type, [count])
      kernels.quantize(steps, x, scale: scale, zero: zero, into: quantized.data, Parallel(threads: 2))
      let back = floats(count) {
        kernels.dequantize(steps, quantized.data, scale: scale, zero: zero, into: $0, Parallel(threads: 2))
      }
      let range = range(type)
      for i in 0..<count {
        let k = i / inner % axis
        let level = Double((x[i] / scale[k]).rounded(.toNearestOrEven)) + Double(zero[k])
        let expected = min(max(level, range.lowerBound), range.upperBound)
        #expect(try number(quantized, i) == expected, "\(type) \(shape) \(i)")
        #expect(back[i] == (Float(expected) - zero[k]) * scale[k])
      }
    }
  }

  @Test("Rounding to steps is quantisation there and back, bit by bit", arguments: variants)
  func roundToSteps(kernels: Kernels) throws {
    var g = Generator(6)
    let x = g.floats(103).map { $0 * 60 }
    let function = Kernels.Unary.steps(factor: 0.3, divisor: 0.07, low: -128, high: 100, step: 0.05)
    let got = floats(x.count) { kernels.unary(function, x, into: $0, count: x.count, .serial) }
    let same = floats(x.count) {
      kernels.unary(.steps(factor: 0.3, divisor: 1, low: -5, high: 5, step: 1), x, into: $0, count: x.count, .serial)
    }
    for (i, x) in x.enumerated() {
      #expect(got[i] == min(max((x * 0.3 / 0.07).rounded(.toNearestOrEven), -128), 100) * 0.05)
      #expect(same[i] == min(max((x * 0.3).rounded(.toNearestOrEven), -5), 5))
    }
    #expect(got.contains { $0 == -128 * 0.05 } && got.contains { $0 == 100 * 0.05 })
  }
}
