import KernelCore
public import Parallel
public import Tensors

/// Quantisation of [outer, axis, inner], with a scale and a zero point for each index of the axis; an axis of 1 has one
/// for all. Zero points are given in floating point.
extension Kernels {
  public struct Steps: Sendable {
    fileprivate let type: StepType
    fileprivate let range: ClosedRange<Float>
    private let outer, axis, inner: Int

    /// nil for a type that is not an integer of at most 16 bits.
    public init?(_ type: ElementType, outer: Int, axis: Int, inner: Int) {
      guard let steps = type.steps else { return nil }
      switch type.widened ?? type {
      case .uint8: self.type = .uint8
      case .int8: self.type = .int8
      case .uint16: self.type = .uint16
      default: self.type = .int16
      }
      range = Float(steps.lowerBound)...Float(steps.upperBound)
      (self.outer, self.axis, self.inner) = (outer, axis, inner)
    }

    /// Rows that share one scale, or that have one for each element.
    fileprivate var rows: (count: Int, length: Int, stride: Int) {
      if axis == 1 { return (1, outer * inner, 0) }
      return inner == 1 ? (outer, axis, 1) : (outer * axis, inner, 0)
    }

    /// Calls `body` with pieces: their first element, their length, the index of their scale and its stride.
    fileprivate func forEachPiece(_ parallel: Parallel, _ body: (Int, Int, Int, Int) -> Void) {
      let (count, length, stride) = rows
      if count == 1 {
        return parallel.forEach(length, grain: Kernels.elementGrain) {
          body($0.lowerBound, $0.count, stride == 0 ? 0 : $0.lowerBound, stride)
        }
      }
      parallel.forEach(count, grain: max(1, Kernels.elementGrain / max(1, length))) { range in
        for row in range { body(row * length, length, stride == 0 ? row % axis : 0, stride) }
      }
    }
  }

  public func quantize(
    _ steps: Steps, _ x: UnsafePointer<Float>, scale: UnsafePointer<Float>, zero: UnsafePointer<Float>,
    into output: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    steps.forEachPiece(parallel) { first, count, k, stride in
      table.quantize(
        steps.type, steps.range, x + first, output + first * steps.type.byteCount, count, scale + k, zero + k, stride)
    }
  }

  public func dequantize(
    _ steps: Steps, _ x: UnsafeRawPointer, scale: UnsafePointer<Float>, zero: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    steps.forEachPiece(parallel) { first, count, k, stride in
      table.dequantize(
        steps.type, x + first * steps.type.byteCount, output + first, count, scale + k, zero + k, stride)
    }
  }
}
