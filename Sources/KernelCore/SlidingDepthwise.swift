/// A depthwise convolution of stride 1 at neighbouring output pixels, in one row of the output or in two: an input pixel
/// is then loaded once for the taps of both.
///
/// Sums and results are those of `DepthwiseStrip`, added in the same order.
public struct DepthwiseSlide {
  /// Rows of the input, counted from the one under the kernel's first row at the upper output row.
  public var rows: Range<Int>
  /// [rows, pointerStride]: where the channels of the input pixels start; `Lanes.slidePixels` + width - 1 are read.
  public var pointers: UnsafePointer<UnsafePointer<Float>>
  public var pointerStride: Int
  /// How many of the output pixels are stored.
  public var pixels: Int
  /// Of the kernel.
  public var height, width: Int
  public var channels: Int
  /// [height, width, channels]
  public var weights: UnsafePointer<Float>
  public var bias: UnsafePointer<Float>?
  /// Laid out as the output.
  public var residual: UnsafePointer<Float>?
  /// The upper row.
  public var output: UnsafeMutablePointer<Float>
  /// From there to the lower row, if that is wanted.
  public var lowerRow: Int?
  public var low, high: Float

  public init(
    rows: Range<Int>, pointers: UnsafePointer<UnsafePointer<Float>>, pointerStride: Int, pixels: Int, height: Int,
    width: Int, channels: Int, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    residual: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>, lowerRow: Int?, low: Float, high: Float
  ) {
    self.rows = rows
    self.pointers = pointers
    self.pointerStride = pointerStride
    self.pixels = pixels
    self.height = height
    self.width = width
    self.channels = channels
    self.weights = weights
    self.bias = bias
    self.residual = residual
    self.output = output
    self.lowerRow = lowerRow
    self.low = low
    self.high = high
  }
}

/// A vector of each of some neighbouring pixels.
@usableFromInline protocol PixelVectors {
  associatedtype L: Lanes
  static var count: Int { get }
  /// Zeros.
  init()
  /// The first `rest` of the channels from `c` on.
  init(_ pointers: UnsafePointer<UnsafePointer<Float>>, _ c: Int, first rest: Int)
  /// Vectors that lie one after another.
  init(_ place: UnsafePointer<Float>)
  mutating func add(_ weight: L.V, _ pixels: Self)
  func forEach(_ body: (_ pixel: Int, _ sum: L.V) -> Void)
}

@usableFromInline struct OnePixel<L: Lanes>: PixelVectors {
  @usableFromInline var vector: L.V

  @inlinable @inline(__always)
  static var count: Int { 1 }

  @inlinable @inline(__always)
  init() { vector = L.splat(0) }

  @inlinable @inline(__always)
  init(_ pointers: UnsafePointer<UnsafePointer<Float>>, _ c: Int, first rest: Int) {
    vector = L.load(pointers[0] + c, first: rest)
  }

  @inlinable @inline(__always)
  init(_ place: UnsafePointer<Float>) { vector = L.load(place) }

  @inlinable @inline(__always)
  mutating func add(_ weight: L.V, _ pixels: Self) { vector = L.fma(vector, weight, pixels.vector) }

  @inlinable @inline(__always)
  func forEach(_ body: (_ pixel: Int, _ sum: L.V) -> Void) { body(0, vector) }
}

@usableFromInline struct Pixels<Left: PixelVectors, Right: PixelVectors>: PixelVectors where Left.L == Right.L {
  @usableFromInline typealias L = Left.L
  @usableFromInline var left: Left
  @usableFromInline var right: Right

  @inlinable @inline(__always)
  static var count: Int { Left.count &+ Right.count }

  @inlinable @inline(__always)
  init() {
    left = Left()
    right = Right()
  }

  @inlinable @inline(__always)
  init(_ pointers: UnsafePointer<UnsafePointer<Float>>, _ c: Int, first rest: Int) {
    left = Left(pointers, c, first: rest)
    right = Right(pointers + Left.count, c, first: rest)
  }

  @inlinable @inline(__always)
  init(_ place: UnsafePointer<Float>) {
    left = Left(place)
    right = Right(place + Left.count &* L.count)
  }

  @inlinable @inline(__always)
  mutating func add(_ weight: L.V, _ pixels: Self) {
    left.add(weight, pixels.left)
    right.add(weight, pixels.right)
  }

  @inlinable @inline(__always)
  func forEach(_ body: (_ pixel: Int, _ sum: L.V) -> Void) {
    left.forEach(body)
    right.forEach { body(Left.count &+ $0, $1) }
  }
}

extension Lanes {
  @usableFromInline typealias TwoPixels = Pixels<OnePixel<Self>, OnePixel<Self>>
  @usableFromInline typealias FourPixels = Pixels<TwoPixels, TwoPixels>
  @usableFromInline typealias SevenPixels = Pixels<FourPixels, Pixels<TwoPixels, OnePixel<Self>>>

  /// Output pixels of a row of a `DepthwiseSlide`.
  @inlinable @inline(__always)
  static var slidePixels: Int { hasTallTiles ? SevenPixels.count : FourPixels.count }

  @inlinable @inline(__always)
  static func depthwise(_ s: DepthwiseSlide) {
    var c = 0
    while c &+ count <= s.channels {
      slide(s, c, count)
      c = c &+ count
    }
    if c < s.channels { slide(s, c, s.channels &- c) }
  }

  /// The first `rest` of the channels from `c` on.
  @inlinable @inline(__always)
  static func slide(_ s: DepthwiseSlide, _ c: Int, _ rest: Int) {
    if hasTallTiles {
      slide(SevenPixels.self, s, c, rest)
    } else {
      slide(FourPixels.self, s, c, rest)
    }
  }

  @inlinable @inline(__always)
  static func slide<P: PixelVectors>(_: P.Type, _ s: DepthwiseSlide, _ c: Int, _ rest: Int) where P.L == Self {
    var (upper, lower) = (P(), P())
    addRows(
      s.rows, height: s.height, width: s.width, hasLower: s.lowerRow != nil, &upper, &lower, s.weights + c, s.channels,
      first: rest, s.pointers, rowStep: s.pointerStride, step: 1
    ) { P($0, c, first: rest) }
    let bias = s.bias.map { load($0 + c, first: rest) }
    store(upper, s, c, rest, bias, at: c)
    if let row = s.lowerRow { store(lower, s, c, rest, bias, at: row &+ c) }
  }

  /// Adds, for the pixels of two neighbouring output rows, or of the upper one alone, what the input rows `rows` have
  /// for them. `line`: what the first of them reads in the first of these rows, `step` before what the next one reads.
  @inlinable @inline(__always)
  static func addRows<P: PixelVectors, Place>(
    _ rows: Range<Int>, height: Int, width: Int, hasLower: Bool, _ upper: inout P, _ lower: inout P,
    _ weights: UnsafePointer<Float>, _ weightStride: Int, first rest: Int, _ line: UnsafePointer<Place>, rowStep: Int,
    step: Int, _ read: (UnsafePointer<Place>) -> P
  ) where P.L == Self {
    let kernelRow = width &* weightStride
    var (row, line, w) = (rows.lowerBound, line, weights + rows.lowerBound &* kernelRow)
    // Rows that only one of the two reads apart, and loops that run at least once: where they meet what went another
    // way, all sums would move from register to register.
    while row < rows.upperBound, row == 0 || !hasLower {
      let end = line + width &* step
      var p = line
      repeat {
        upper.add(load(w, first: rest), read(p))
        p += step
        w += weightStride
      } while p < end
      line += rowStep
      row = row &+ 1
    }
    while row < min(rows.upperBound, height) {
      let end = line + width &* step
      var p = line
      repeat {
        let x = read(p)
        upper.add(load(w, first: rest), x)
        lower.add(load(w - kernelRow, first: rest), x)
        p += step
        w += weightStride
      } while p < end
      line += rowStep
      row = row &+ 1
    }
    guard row < rows.upperBound else { return }
    w -= kernelRow
    let end = line + width &* step
    repeat {
      lower.add(load(w, first: rest), read(line))
      line += step
      w += weightStride
    } while line < end
  }

  /// Stores the sums of the pixels that are there, the first of them `place` floats behind the output's start.
  @inlinable @inline(__always)
  static func store<P: PixelVectors>(
    _ sums: P, _ s: DepthwiseSlide, _ c: Int, _ rest: Int, _ bias: V?, at place: Int
  ) where P.L == Self {
    sums.forEach { pixel, sum in
      guard pixel < s.pixels else { return }
      let place = place &+ pixel &* s.channels
      var v = sum
      if let bias { v = v + bias }
      if let residual = s.residual { v = v + load(residual + place, first: rest) }
      store(clamp(v, splat(s.low), splat(s.high)), s.output + place, first: rest)
    }
  }
}
