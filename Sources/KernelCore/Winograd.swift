/// Winograd's convolution of stride 1 (Lavin and Gray, arXiv 1509.09308): a patch of outputs, and the pixels under it, are
/// polynomials in two variables. Their values at a few points are multiplied, one product over the channels for each
/// point, and the outputs are interpolated from these.
///
/// As many points are needed as a patch has pixels under it. Those of six are 0, ±3/4, ±3/2 and ∞: every factor is exact in
/// float32, and at the logits of networks the error is that of the direct sums; with the usual 0, ±1, ±2, ∞ it is twice
/// as large. Those of four are 0, ±1, ∞.
public enum Patch: Sendable {
  /// Rows by columns of outputs, of kernels of 3×3.
  case twoByTwo, twoByFour, fourByFour
  /// Of kernels of 5×5.
  case twoByTwoOfFive

  /// Outputs down and across.
  @inlinable public var rows: Int { self == .fourByFour ? 4 : 2 }
  @inlinable public var columns: Int { self == .twoByFour || self == .fourByFour ? 4 : 2 }
  /// Rows of pixels under a patch, and points down.
  @inlinable public var pointRows: Int { self == .twoByTwo || self == .twoByFour ? 4 : 6 }
  /// Columns of pixels under a patch, and points across.
  @inlinable public var pointColumns: Int { self == .twoByTwo ? 4 : 6 }
  /// All points, down times across.
  @inlinable public var pointCount: Int { pointRows &* pointColumns }
}

/// The pixels under a patch, and where their polynomial's values go.
public struct PatchPixels {
  /// [points down, points across]: where each pixel's channels start.
  public var pointers: UnsafePointer<UnsafePointer<Float>>
  public var channels: Int
  /// Point after point, `pointStride` floats apart; in each, channels up to a whole vector are written.
  public var values: UnsafeMutablePointer<Float>
  public var pointStride: Int
  /// `PatchPixels.scratchCount` floats.
  public var scratch: UnsafeMutablePointer<Float>

  /// Room for a vector of each point.
  public static var scratchCount: Int { 36 &* 16 }

  public init(
    pointers: UnsafePointer<UnsafePointer<Float>>, channels: Int, values: UnsafeMutablePointer<Float>,
    pointStride: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    self.pointers = pointers
    self.channels = channels
    self.values = values
    self.pointStride = pointStride
    self.scratch = scratch
  }
}

/// The products at the points of a patch, and where its outputs go: `clamp(output + bias + residual)`.
public struct PatchOutputs {
  /// Point after point, `pointStride` floats apart; in each, channels up to a whole vector are read.
  public var products: UnsafePointer<Float>
  public var pointStride: Int
  public var channels: Int
  /// The part of the patch that is written.
  public var rows, columns: Range<Int>
  /// Where the patch begins, whether that is written or not.
  public var output: UnsafeMutablePointer<Float>
  /// From one row or pixel of the output to the next.
  public var rowStride, pixelStride: Int
  public var bias: UnsafePointer<Float>?
  /// Laid out as the output.
  public var residual: UnsafePointer<Float>?
  public var low, high: Float
  /// `PatchPixels.scratchCount` floats.
  public var scratch: UnsafeMutablePointer<Float>

  public init(
    products: UnsafePointer<Float>, pointStride: Int, channels: Int, rows: Range<Int>,
    columns: Range<Int>, output: UnsafeMutablePointer<Float>, rowStride: Int, pixelStride: Int,
    bias: UnsafePointer<Float>?,
    residual: UnsafePointer<Float>?, low: Float, high: Float, scratch: UnsafeMutablePointer<Float>
  ) {
    self.products = products
    self.pointStride = pointStride
    self.channels = channels
    self.rows = rows
    self.columns = columns
    self.output = output
    self.rowStride = rowStride
    self.pixelStride = pixelStride
    self.bias = bias
    self.residual = residual
    self.low = low
    self.high = high
    self.scratch = scratch
  }
}

/// One axis of a patch. Row i of the first transform has the coefficients of the product of (x − p) over the other
/// finite points p, that of ∞ over all of them; row i of the second has the powers of the points.
public protocol PatchAxis {
  static var points: Int { get }
  static var outputs: Int { get }
  /// From pixels to values at the points.
  static func evaluate<L: Lanes>(_: L.Type, _ pixel: (Int) -> L.V, _ put: (Int, L.V) -> Void)
  /// From products at the points to outputs.
  static func interpolate<L: Lanes>(_: L.Type, _ product: (Int) -> L.V, _ put: (Int, L.V) -> Void)
}

/// 0, 1, −1, ∞.
public enum TwoOutputs: PatchAxis {
  @inlinable @inline(__always)
  public static var points: Int { 4 }
  @inlinable @inline(__always)
  public static var outputs: Int { 2 }

  @inlinable @inline(__always)
  public static func evaluate<L: Lanes>(_: L.Type, _ pixel: (Int) -> L.V, _ put: (Int, L.V) -> Void) {
    let (x1, x2) = (pixel(1), pixel(2))
    put(0, x2 - pixel(0))
    put(1, x1 + x2)
    put(2, x2 - x1)
    put(3, pixel(3) - x1)
  }

  @inlinable @inline(__always)
  public static func interpolate<L: Lanes>(_: L.Type, _ product: (Int) -> L.V, _ put: (Int, L.V) -> Void) {
    let (x1, x2) = (product(1), product(2))
    put(0, product(0) + (x1 + x2))
    put(1, (x1 - x2) + product(3))
  }
}

/// 0, 3/4, −3/4, 3/2, −3/2, ∞.
public enum FourOutputs: PatchAxis {
  @inlinable @inline(__always)
  public static var points: Int { 6 }
  @inlinable @inline(__always)
  public static var outputs: Int { 4 }

  @inlinable @inline(__always)
  public static func evaluate<L: Lanes>(_: L.Type, _ pixel: (Int) -> L.V, _ put: (Int, L.V) -> Void) {
    let (x1, x2, x3, x4) = (pixel(1), pixel(2), pixel(3), pixel(4))
    // (x² − 9/16)(x² − 9/4) = x⁴ − 45/16 x² + 81/64
    let (linear, constant) = (L.splat(-2.8125), L.splat(1.265625))
    put(0, L.fma(L.fma(x4, linear, x2), constant, pixel(0)))
    put(5, L.fma(L.fma(pixel(5), linear, x3), constant, x1))
    pair(L.self, L.fma(x4, L.splat(-2.25), x2), L.fma(x3, L.splat(-2.25), x1), L.splat(0.75), 1, put)
    pair(L.self, L.fma(x4, L.splat(-0.5625), x2), L.fma(x3, L.splat(-0.5625), x1), L.splat(1.5), 3, put)
  }

  /// The values at a point and at its negative, from the even and the odd part.
  @inlinable @inline(__always)
  static func pair<L: Lanes>(
    _: L.Type, _ even: L.V, _ odd: L.V, _ point: L.V, _ i: Int, _ put: (Int, L.V) -> Void
  ) {
    let odd = odd * point
    put(i, even + odd)
    put(i &+ 1, even - odd)
  }

  @inlinable @inline(__always)
  public static func interpolate<L: Lanes>(_: L.Type, _ product: (Int) -> L.V, _ put: (Int, L.V) -> Void) {
    let (x1, x2, x3, x4) = (product(1), product(2), product(3), product(4))
    let (nearSum, nearDifference) = (x1 + x2, x1 - x2)
    let (farSum, farDifference) = (x3 + x4, x3 - x4)
    put(0, product(0) + (nearSum + farSum))
    put(1, L.fma(farDifference * L.splat(1.5), L.splat(0.75), nearDifference))
    put(2, L.fma(farSum * L.splat(2.25), L.splat(0.5625), nearSum))
    put(3, L.fma(L.fma(product(5), L.splat(3.375), farDifference), L.splat(0.421875), nearDifference))
  }
}

/// Two outputs of five taps, from the values at the points of four of three.
public enum TwoOutputsOfFive: PatchAxis {
  @inlinable @inline(__always)
  public static var points: Int { FourOutputs.points }
  @inlinable @inline(__always)
  public static var outputs: Int { 2 }

  @inlinable @inline(__always)
  public static func evaluate<L: Lanes>(_: L.Type, _ pixel: (Int) -> L.V, _ put: (Int, L.V) -> Void) {
    FourOutputs.evaluate(L.self, pixel, put)
  }

  @inlinable @inline(__always)
  public static func interpolate<L: Lanes>(_: L.Type, _ product: (Int) -> L.V, _ put: (Int, L.V) -> Void) {
    let (x1, x2, x3, x4) = (product(1), product(2), product(3), product(4))
    put(0, product(0) + ((x1 + x2) + (x3 + x4)))
    put(1, L.fma(L.fma(product(5), x3 - x4, L.splat(1.5)), x1 - x2, L.splat(0.75)))
  }
}

extension Lanes {
  /// From the pixels under a patch to values at the points.
  @inlinable @inline(__always)
  static func evaluate(_ patch: Patch, _ p: PatchPixels) {
    switch patch {
    case .twoByTwo: evaluate(TwoOutputs.self, TwoOutputs.self, p)
    case .twoByFour: evaluate(TwoOutputs.self, FourOutputs.self, p)
    case .fourByFour, .twoByTwoOfFive: evaluate(FourOutputs.self, FourOutputs.self, p)
    }
  }

  @inlinable @inline(__always)
  static func evaluate<Down: PatchAxis, Across: PatchAxis>(_: Down.Type, _: Across.Type, _ p: PatchPixels) {
    var c = 0
    while c &+ count <= p.channels {
      evaluate(Down.self, Across.self, p, c, count)
      c = c &+ count
    }
    if c < p.channels { evaluate(Down.self, Across.self, p, c, p.channels &- c) }
  }

  /// The channels from `c` on, `rest` of them.
  @inlinable @inline(__always)
  static func evaluate<Down: PatchAxis, Across: PatchAxis>(
    _: Down.Type, _: Across.Type, _ p: PatchPixels, _ c: Int, _ rest: Int
  ) {
    let width = Across.points
    var j = 0
    while j < width {
      Down.evaluate(
        Self.self, { load(p.pointers[$0 &* width &+ j] + c, first: rest) },
        { store($1, p.scratch + ($0 &* width &+ j) &* count) })
      j = j &+ 1
    }
    var i = 0
    while i < Down.points {
      let row = p.scratch + i &* width &* count
      let target = p.values + (i &* width &* p.pointStride &+ c)
      Across.evaluate(Self.self, { load(row + $0 &* count) }, { store($1, target + $0 &* p.pointStride) })
      i = i &+ 1
    }
  }

  /// From the products at the points of a patch to its outputs.
  @inlinable @inline(__always)
  static func interpolate(_ patch: Patch, _ p: PatchOutputs) {
    switch patch {
    case .twoByTwo: interpolate(TwoOutputs.self, TwoOutputs.self, p)
    case .twoByFour: interpolate(TwoOutputs.self, FourOutputs.self, p)
    case .fourByFour: interpolate(FourOutputs.self, FourOutputs.self, p)
    case .twoByTwoOfFive: interpolate(TwoOutputsOfFive.self, TwoOutputsOfFive.self, p)
    }
  }

  @inlinable @inline(__always)
  static func interpolate<Down: PatchAxis, Across: PatchAxis>(_: Down.Type, _: Across.Type, _ p: PatchOutputs) {
    var c = 0
    while c &+ count <= p.channels {
      interpolate(Down.self, Across.self, p, c, count)
      c = c &+ count
    }
    if c < p.channels { interpolate(Down.self, Across.self, p, c, p.channels &- c) }
  }

  @inlinable @inline(__always)
  static func interpolate<Down: PatchAxis, Across: PatchAxis>(
    _: Down.Type, _: Across.Type, _ p: PatchOutputs, _ c: Int, _ rest: Int
  ) {
    let width = Across.points
    var j = 0
    while j < width {
      let source = p.products + (j &* p.pointStride &+ c)
      Down.interpolate(
        Self.self, { load(source + $0 &* width &* p.pointStride) },
        { store($1, p.scratch + ($0 &* width &+ j) &* count) })
      j = j &+ 1
    }
    let (low, high) = (splat(p.low), splat(p.high))
    let bias = p.bias.map { load($0 + c, first: rest) }
    let (left, right) = (p.columns.lowerBound, p.columns.upperBound)
    var i = p.rows.lowerBound
    while i < p.rows.upperBound {
      let row = p.scratch + i &* width &* count
      let first = i &* p.rowStride &+ c
      Across.interpolate(Self.self, { load(row + $0 &* count) }) { j, output in
        guard j >= left, j < right else { return }
        let place = first &+ j &* p.pixelStride
        var v = output
        if let bias { v = v + bias }
        if let residual = p.residual { v = v + load(residual + place, first: rest) }
        store(clamp(v, low, high), p.output + place, first: rest)
      }
      i = i &+ 1
    }
  }
}
