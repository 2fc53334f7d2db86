/// A depthwise convolution of stride 1 of as many channels as a vector has, at some rows of the output, by a copy of
/// what these read: what a large kernel reads many times lies one after another there. In a map, pixels of a vector are
/// as far apart as there are channels, often by a multiple that few places of the first-level cache share.
///
/// Sums and results are those of `DepthwiseStrip`, added in the same order.
public struct DepthwisePlane {
  /// The map, from the first of the channels on.
  public var input: UnsafePointer<Float>
  public var inputHeight, inputWidth: Int
  /// Where in the map the kernel lies at the first output pixel.
  public var top, left: Int
  /// Of the output.
  public var rows, pixels: Int
  /// Of the kernel.
  public var height, width: Int
  /// How many of a vector there are.
  public var channels: Int
  /// From one pixel to the next, of the map, the output and the residual, and from one tap of the weights to the next.
  public var stride: Int
  public var weights: UnsafePointer<Float>
  public var bias: UnsafePointer<Float>?
  public var residual: UnsafePointer<Float>?
  public var output: UnsafeMutablePointer<Float>
  public var low, high: Float
  /// `Lanes.planeScratch` floats for the copies of the map and of the kernel.
  public var scratch: UnsafeMutablePointer<Float>

  public init(
    input: UnsafePointer<Float>, inputHeight: Int, inputWidth: Int, top: Int, left: Int, rows: Int, pixels: Int,
    height: Int, width: Int, channels: Int, stride: Int, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    residual: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>, low: Float, high: Float,
    scratch: UnsafeMutablePointer<Float>
  ) {
    self.input = input
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
    self.top = top
    self.left = left
    self.rows = rows
    self.pixels = pixels
    self.height = height
    self.width = width
    self.channels = channels
    self.stride = stride
    self.weights = weights
    self.bias = bias
    self.residual = residual
    self.output = output
    self.low = low
    self.high = high
    self.scratch = scratch
  }
}

extension Lanes {
  /// Pixels of the map that a row of the output reads, padding included, in whole tiles.
  @inlinable @inline(__always)
  static func planeColumns(pixels: Int, width: Int) -> Int {
    (pixels &+ slidePixels &- 1) / slidePixels &* slidePixels &+ width &- 1
  }

  /// Floats of scratch memory for so many rows and pixels of the output.
  @inlinable @inline(__always)
  static func planeScratch(rows: Int, pixels: Int, height: Int, width: Int) -> Int {
    ((rows + height - 1) * planeColumns(pixels: pixels, width: width) + height * width) * count
  }

  @inlinable @inline(__always)
  static func depthwise(_ s: DepthwisePlane) {
    if hasTallTiles {
      plane(SevenPixels.self, s)
    } else {
      plane(FourPixels.self, s)
    }
  }

  @inlinable @inline(__always)
  static func plane<P: PixelVectors>(_: P.Type, _ s: DepthwisePlane) where P.L == Self {
    let columns = planeColumns(pixels: s.pixels, width: s.width)
    let kernel = s.scratch
    let copy = kernel + s.height &* s.width &* count
    gather(s.weights, s.stride, s.height &* s.width, s.channels, into: kernel)
    copyRows(s, columns, into: copy)
    var y = 0
    while y < s.rows {
      var x = 0
      while x < s.pixels {
        tile(P.self, s, columns, kernel, copy, y, x)
        x = x &+ P.count
      }
      y = y &+ 2
    }
  }

  /// Two rows of a tile from (y, x) on, or one where that is the last. A function of its own: in a loop of tiles the
  /// compiler keeps a pointer for each of the pixels, and moves them all from tile to tile.
  @inlinable @inline(never)
  static func tile<P: PixelVectors>(
    _: P.Type, _ s: DepthwisePlane, _ columns: Int, _ kernel: UnsafePointer<Float>, _ copy: UnsafePointer<Float>,
    _ y: Int, _ x: Int
  ) where P.L == Self {
    let hasLower = y &+ 1 < s.rows
    // Rows of padding are left out.
    let first = max(0, 0 &- s.top &- y)
    let end = max(first, min(hasLower ? s.height &+ 1 : s.height, s.inputHeight &- s.top &- y))
    var (upper, lower) = (P(), P())
    addRows(
      first..<end, height: s.height, width: s.width, hasLower: hasLower, &upper, &lower, kernel, count, first: count,
      copy + ((y &+ first) &* columns &+ x) &* count, rowStep: columns &* count, step: count
    ) { P($0) }
    store(upper, s, y, x)
    if hasLower { store(lower, s, y &+ 1, x) }
  }

  /// The rows that there are, with padding on both sides.
  @inlinable @inline(__always)
  static func copyRows(_ s: DepthwisePlane, _ columns: Int, into copy: UnsafeMutablePointer<Float>) {
    let first = min(columns, max(0, 0 &- s.left))
    let end = max(first, min(columns, s.inputWidth &- s.left))
    var row = max(0, 0 &- s.top)
    while row < min(s.rows &+ s.height &- 1, s.inputHeight &- s.top) {
      let line = copy + row &* columns &* count
      let source = s.input + ((s.top &+ row) &* s.inputWidth &+ s.left &+ first) &* s.stride
      clear(line, first)
      gather(source, s.stride, end &- first, s.channels, into: line + first &* count)
      clear(line + end &* count, columns &- end)
      row = row &+ 1
    }
  }

  /// Brings vectors together of which `channels` elements are there.
  @inlinable @inline(__always)
  static func gather(
    _ source: UnsafePointer<Float>, _ stride: Int, _ vectors: Int, _ channels: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    var i = 0
    while i < vectors {
      store(load(source + i &* stride, first: channels), target + i &* count)
      i = i &+ 1
    }
  }

  @inlinable @inline(__always)
  static func clear(_ target: UnsafeMutablePointer<Float>, _ vectors: Int) {
    var i = 0
    while i < vectors {
      store(splat(0), target + i &* count)
      i = i &+ 1
    }
  }

  @inlinable @inline(__always)
  static func store<P: PixelVectors>(_ sums: P, _ s: DepthwisePlane, _ y: Int, _ x: Int) where P.L == Self {
    let bias = s.bias.map { load($0, first: s.channels) }
    sums.forEach { pixel, sum in
      guard x &+ pixel < s.pixels else { return }
      let place = (y &* s.pixels &+ x &+ pixel) &* s.stride
      var v = sum
      if let bias { v = v + bias }
      if let residual = s.residual { v = v + load(residual + place, first: s.channels) }
      store(clamp(v, splat(s.low), splat(s.high)), s.output + place, first: s.channels)
    }
  }
}
