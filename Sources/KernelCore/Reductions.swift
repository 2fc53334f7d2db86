/// Reductions of many numbers to one.
public enum ReductionFunction: Sendable {
  case sum, sumOfSquares, sumOfMagnitudes, maximum, minimum, product
}

extension Lanes {
  /// Reduces `x[0..<n]`. Four vectors take turns, and are put together in a fixed order.
  @inlinable @inline(__always)
  static func reduceRow(_ function: ReductionFunction, _ x: UnsafePointer<Float>, _ n: Int) -> Float {
    switch function {
    case .sum: fold(x, n, 0, { $0 + $1 }, { $0 + $1 })
    case .sumOfSquares: fold(x, n, 0, { fma($0, $1, $1) }, { $0 + $1 }, merge: { $0 + $1 })
    case .sumOfMagnitudes: fold(x, n, 0, { $0 + V.magnitude($1) }, { $0 + $1 }, merge: { $0 + $1 })
    case .maximum: fold(x, n, -.infinity, { V.maximum($0, $1) }, { larger($0, $1) })
    case .minimum: fold(x, n, .infinity, { V.minimum($0, $1) }, { -larger(-$0, -$1) })
    case .product: fold(x, n, 1, { $0 * $1 }, { $0 * $1 })
    }
  }

  @inlinable @inline(__always)
  static func larger(_ a: Float, _ b: Float) -> Float { a != a || a > b ? a : b }

  @inlinable @inline(__always)
  static func fold(
    _ x: UnsafePointer<Float>, _ n: Int, _ start: Float, _ step: (V, V) -> V, _ last: (Float, Float) -> Float
  ) -> Float { fold(x, n, start, step, last, merge: step) }

  /// `step` takes a vector of elements into a running one, `merge` two running ones, `last` two running lanes.
  @inlinable @inline(__always)
  static func fold(
    _ x: UnsafePointer<Float>, _ n: Int, _ start: Float, _ step: (V, V) -> V, _ last: (Float, Float) -> Float,
    merge: (V, V) -> V
  ) -> Float {
    var a = splat(start)
    var b = a
    var c = a
    var d = a
    var i = 0
    while i &+ 4 &* count <= n {
      a = step(a, load(x + i))
      b = step(b, load(x + i + count))
      c = step(c, load(x + i + 2 &* count))
      d = step(d, load(x + i + 3 &* count))
      i = i &+ 4 &* count
    }
    while i &+ count <= n {
      a = step(a, load(x + i))
      i = i &+ count
    }
    if i < n {
      // Lanes without an element stay as they are.
      let stepped = step(b, load(x + i, first: n &- i))
      var lane = 0
      while lane < n &- i {
        b[lane] = stepped[lane]
        lane = lane &+ 1
      }
    }
    let all = merge(merge(a, b), merge(c, d))
    var result = all[0]
    var lane = 1
    while lane < count {
      result = last(result, all[lane])
      lane = lane &+ 1
    }
    return result
  }

  /// Elements that are added up one after the other, where columns are reduced; such runs are put together then, so
  /// that the errors of means over large maps stay small.
  @inlinable @inline(__always)
  static var runLength: Int { 64 }

  /// Reduces each of `n` neighbouring columns over `rows` rows, from top to bottom in runs.
  @inlinable @inline(__always)
  static func reduceColumns(
    _ function: ReductionFunction, _ x: UnsafePointer<Float>, rows: Int, stride: Int,
    _ output: UnsafeMutablePointer<Float>, _ n: Int
  ) {
    switch function {
    case .sum: columns(x, rows, stride, output, n, 0, { $0 + $1 }, merge: { $0 + $1 })
    case .sumOfSquares: columns(x, rows, stride, output, n, 0, { fma($0, $1, $1) }, merge: { $0 + $1 })
    case .sumOfMagnitudes: columns(x, rows, stride, output, n, 0, { $0 + V.magnitude($1) }, merge: { $0 + $1 })
    case .maximum: columns(x, rows, stride, output, n, -.infinity, { V.maximum($0, $1) }, merge: { V.maximum($0, $1) })
    case .minimum: columns(x, rows, stride, output, n, .infinity, { V.minimum($0, $1) }, merge: { V.minimum($0, $1) })
    case .product: columns(x, rows, stride, output, n, 1, { $0 * $1 }, merge: { $0 * $1 })
    }
  }

  @inlinable @inline(__always)
  static func columns(
    _ x: UnsafePointer<Float>, _ rows: Int, _ stride: Int, _ output: UnsafeMutablePointer<Float>, _ n: Int,
    _ start: Float, _ step: (V, V) -> V, merge: (V, V) -> V
  ) {
    var i = 0
    while i &+ 4 &* count <= n {
      var p = x + i
      var left = rows
      var (a, b, c, d) = (splat(start), splat(start), splat(start), splat(start))
      repeat {
        var (a1, b1, c1, d1) = (splat(start), splat(start), splat(start), splat(start))
        for _ in 0..<min(left, runLength) {
          a1 = step(a1, load(p))
          b1 = step(b1, load(p + count))
          c1 = step(c1, load(p + 2 &* count))
          d1 = step(d1, load(p + 3 &* count))
          p += stride
        }
        (a, b, c, d) = (merge(a, a1), merge(b, b1), merge(c, c1), merge(d, d1))
        left = left &- runLength
      } while left > 0
      store(a, output + i)
      store(b, output + i + count)
      store(c, output + i + 2 &* count)
      store(d, output + i + 3 &* count)
      i = i &+ 4 &* count
    }
    while i < n {
      let rest = min(count, n &- i)
      var a = splat(start)
      var p = x + i
      var left = rows
      repeat {
        var a1 = splat(start)
        for _ in 0..<min(left, runLength) {
          a1 = step(a1, load(p, first: rest))
          p += stride
        }
        a = merge(a, a1)
        left = left &- runLength
      } while left > 0
      store(a, output + i, first: rest)
      i = i &+ rest
    }
  }

  @inlinable @inline(__always)
  static func softmaxRow(_ x: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ n: Int) {
    let most = splat(reduceRow(.maximum, x, n))
    each(x, output, n) { exp($0 - most) }
    let sum = splat(reduceRow(.sum, output, n))
    each(output, output, n) { $0 / sum }
  }

  /// The sum of `exp(x[i] - offset)`.
  @inlinable @inline(__always)
  static func sumOfExponentials(_ x: UnsafePointer<Float>, _ n: Int, minus offset: Float) -> Float {
    let offset = splat(offset)
    return fold(x, n, 0, { $0 + exp($1 - offset) }, { $0 + $1 }, merge: { $0 + $1 })
  }

  /// `(x - mean) / sqrt(variance + epsilon) * scale + shift` of one row.
  @inlinable @inline(__always)
  static func normalizeRow(
    _ x: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ n: Int, scale: UnsafePointer<Float>?,
    shift: UnsafePointer<Float>?, epsilon: Float, subtractMean: Bool
  ) {
    let mean = splat(subtractMean ? reduceRow(.sum, x, n) / Float(n) : 0)
    let squares = fold(
      x, n, 0,
      {
        let d = $1 - mean; return fma($0, d, d)
      }, { $0 + $1 }, merge: { $0 + $1 })
    let factor = splat(1) / V.squareRoot(splat(squares / Float(n) + epsilon))
    var i = 0
    while i < n {
      let rest = min(count, n &- i)
      var v = (load(x + i, first: rest) - mean) * factor
      if let scale { v = v * load(scale + i, first: rest) }
      if let shift { v = v + load(shift + i, first: rest) }
      store(v, output + i, first: rest)
      i = i &+ rest
    }
  }

  /// `output[r, i] = clamp(x[r, i] * scale[i] + shift[i], low, high)` of rows of `n`; the result's are `stride` apart.
  @inlinable @inline(__always)
  static func scaleRows(
    _ x: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>?,
    _ output: UnsafeMutablePointer<Float>, _ n: Int, rows: Int, stride: Int, _ low: Float, _ high: Float
  ) {
    let low = splat(low)
    let high = splat(high)
    var i = 0
    while i < n {
      let rest = min(count, n &- i)
      let factor = load(scale + i, first: rest)
      let start = shift.map { load($0 + i, first: rest) } ?? splat(0)
      var from = x + i
      var to = output + i
      if rest == count {
        for _ in 0..<rows {
          store(clamp(fma(start, load(from), factor), low, high), to)
          from += n
          to += stride
        }
      } else {
        for _ in 0..<rows {
          store(clamp(fma(start, load(from, first: rest), factor), low, high), to, first: rest)
          from += n
          to += stride
        }
      }
      i = i &+ rest
    }
  }
}
