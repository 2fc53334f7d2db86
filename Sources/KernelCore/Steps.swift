/// The integers that quantised numbers are stored as.
public enum StepType: Sendable {
  case uint8, int8, uint16, int16

  @inlinable
  public var byteCount: Int {
    switch self {
    case .uint8, .int8: 1
    case .uint16, .int16: 2
    }
  }
}

/// Numbers brought to whole steps of a scale and back.
extension Lanes {
  /// The nearest whole number, halves to even, of |x| up to 2^22: behind the sum there is no place for a fraction.
  @inlinable @inline(__always)
  static func round(_ x: V) -> V {
    let shift = splat(12_582_912)
    return (x + shift) - shift
  }

  /// `output[i] = clamp(round(x[i] * factor / divisor), low, high) * step`, the bounds whole numbers.
  @inlinable @inline(__always)
  static func roundToSteps(
    _ form: Rounding, _ x: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ n: Int
  ) {
    let (low, high, step) = (splat(form.low), splat(form.high), splat(form.step))
    let divisor = splat(form.divisor)
    if form.factor == 1 {
      each(x, output, n) { round(clamp($0 / divisor, low, high)) * step }
    } else if form.divisor == 1 {
      let factor = splat(form.factor)
      each(x, output, n) { round(clamp($0 * factor, low, high)) * step }
    } else {
      let factor = splat(form.factor)
      each(x, output, n) { round(clamp($0 * factor / divisor, low, high)) * step }
    }
  }

  /// `output[i] = clamp(round(x[i] / scale) + zero)` to `range`, which is of whole numbers that the type holds. A
  /// stride of 0 repeats a scale and a zero point, 1 takes the next.
  @inlinable @inline(__always)
  static func quantize(
    _ type: StepType, _ range: ClosedRange<Float>, _ x: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer,
    _ n: Int,
    scale: UnsafePointer<Float>, zero: UnsafePointer<Float>, stride: Int
  ) {
    switch type {
    case .uint8: quantize(as: .uint8, range, x, output, n, scale, zero, stride)
    case .int8: quantize(as: .int8, range, x, output, n, scale, zero, stride)
    case .uint16: quantize(as: .uint16, range, x, output, n, scale, zero, stride)
    case .int16: quantize(as: .int16, range, x, output, n, scale, zero, stride)
    }
  }

  @inlinable @inline(__always)
  static func quantize(
    as type: StepType, _ range: ClosedRange<Float>, _ x: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer,
    _ n: Int, _ scale: UnsafePointer<Float>, _ zero: UnsafePointer<Float>, _ stride: Int
  ) {
    let (low, high) = (splat(range.lowerBound), splat(range.upperBound))
    func steps(_ x: V, _ scale: V, _ zero: V) -> V {
      // Bounds before rounding: they are whole numbers, and what is rounded is then small enough.
      round(clamp(x / scale, low - zero, high - zero)) + zero
    }
    var i = 0
    if stride == 0 {
      let (scale, zero) = (splat(scale[0]), splat(zero[0]))
      while i &+ count <= n {
        V.store(steps(load(x + i), scale, zero), type, output + i &* type.byteCount)
        i = i &+ count
      }
    } else {
      while i &+ count <= n {
        V.store(steps(load(x + i), load(scale + i), load(zero + i)), type, output + i &* type.byteCount)
        i = i &+ count
      }
    }
    let rest = n &- i
    if rest == 0 { return }
    let (s, z) =
      stride == 0
      ? (splat(scale[0]), splat(zero[0])) : (load(scale + i, first: rest), load(zero + i, first: rest))
    withUnsafeTemporaryAllocation(byteCount: count &* 2, alignment: 4) { memory in
      guard let base = memory.baseAddress else { return }
      V.store(steps(load(x + i, first: rest), s, z), type, base)
      (output + i &* type.byteCount).copyMemory(from: base, byteCount: rest &* type.byteCount)
    }
  }

  /// `output[i] = (x[i] - zero) * scale`.
  @inlinable @inline(__always)
  static func dequantize(
    _ type: StepType, _ x: UnsafeRawPointer, _ output: UnsafeMutablePointer<Float>, _ n: Int,
    scale: UnsafePointer<Float>, zero: UnsafePointer<Float>, stride: Int
  ) {
    switch type {
    case .uint8: dequantize(as: .uint8, x, output, n, scale, zero, stride)
    case .int8: dequantize(as: .int8, x, output, n, scale, zero, stride)
    case .uint16: dequantize(as: .uint16, x, output, n, scale, zero, stride)
    case .int16: dequantize(as: .int16, x, output, n, scale, zero, stride)
    }
  }

  @inlinable @inline(__always)
  static func dequantize(
    as type: StepType, _ x: UnsafeRawPointer, _ output: UnsafeMutablePointer<Float>, _ n: Int,
    _ scale: UnsafePointer<Float>, _ zero: UnsafePointer<Float>, _ stride: Int
  ) {
    var i = 0
    if stride == 0 {
      let (scale, zero) = (splat(scale[0]), splat(zero[0]))
      while i &+ count <= n {
        store((V.load(type, x + i &* type.byteCount) - zero) * scale, output + i)
        i = i &+ count
      }
    } else {
      while i &+ count <= n {
        store((V.load(type, x + i &* type.byteCount) - load(zero + i)) * load(scale + i), output + i)
        i = i &+ count
      }
    }
    let rest = n &- i
    if rest == 0 { return }
    let (s, z) =
      stride == 0
      ? (splat(scale[0]), splat(zero[0])) : (load(scale + i, first: rest), load(zero + i, first: rest))
    withUnsafeTemporaryAllocation(byteCount: count &* 2, alignment: 4) { memory in
      guard let base = memory.baseAddress else { return }
      base.initializeMemory(as: UInt8.self, repeating: 0, count: count &* 2)
      base.copyMemory(from: x + i &* type.byteCount, byteCount: rest &* type.byteCount)
      store((V.load(type, base) - z) * s, output + i, first: rest)
    }
  }
}

/// What `Lanes.roundToSteps` does to a number.
public struct Rounding: Sendable, Hashable {
  public var factor, divisor, low, high, step: Float

  public init(factor: Float, divisor: Float, low: Float, high: Float, step: Float) {
    self.factor = factor
    self.divisor = divisor
    self.low = low
    self.high = high
    self.step = step
  }
}
