/// Reads images [H, W, C], or volumes [D, H, W, C],at places along each axis.
struct GridSampler: Sendable {
  enum Mode { case nearest, linear, cubic }
  enum Padding: String { case zeros, border, reflection }
  /// What names a place: −1 to 1 from the middle of the first pixel to that of the last, or from edge to edge; or
  /// pixels.
  enum Unit { case middles, edges, pixels }

  /// nil for images.
  let depth: Int?
  let height: Int
  let width: Int
  let channels: Int
  let mode: Mode
  let padding: Padding
  let unit: Unit

  /// An index along one axis, its weight, and how that changes as the place moves.
  private struct Tap {
    let index: Int
    let weight: Float
    let slope: Float
  }

  /// How many numbers name a place: x, y and in volumes z.
  var axes: Int { depth == nil ? 2 : 3 }
  /// Elements of an image or volume.
  var count: Int { (depth ?? 1) * height * width * channels }

  /// Calls `body` with each pixel that makes up a place: its first element, and its taps along the axes.
  private func forEachPixel(_ place: UnsafePointer<Float>, _ body: (Int, Tap, Tap, Tap) -> Void) {
    let columns = taps(place[0], width)
    let rows = taps(place[1], height)
    for slice in depth.map({ taps(place[2], $0) }) ?? [Tap(index: 0, weight: 1, slope: 0)] {
      for row in rows {
        for column in columns {
          body(((slice.index * height + row.index) * width + column.index) * channels, slice, row, column)
        }
      }
    }
  }

  func sample(_ x: UnsafePointer<Float>, _ place: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    target.update(repeating: 0, count: channels)
    forEachPixel(place) { first, slice, row, column in
      let weight = slice.weight * (row.weight * column.weight)
      for c in 0..<channels { target[c] += weight * x[first + c] }
    }
  }

  /// Adds the gradient of a sample to what it was made of.
  func scatter(
    _ gradient: UnsafePointer<Float>, _ place: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>
  ) {
    forEachPixel(place) { first, slice, row, column in
      let weight = slice.weight * (row.weight * column.weight)
      for c in 0..<channels { target[first + c] += weight * gradient[c] }
    }
  }

  /// The gradient of a sample times its change along each axis, into as many numbers as name a place.
  func slopes(
    _ x: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ place: UnsafePointer<Float>,
    into target: UnsafeMutablePointer<Float>
  ) {
    target.update(repeating: 0, count: axes)
    forEachPixel(place) { first, slice, row, column in
      var product: Float = 0
      for c in 0..<channels { product += gradient[c] * x[first + c] }
      target[0] += slice.weight * row.weight * column.slope * product
      target[1] += slice.weight * row.slope * column.weight * product
      if depth != nil { target[2] += slice.slope * row.weight * column.weight * product }
    }
  }

  /// The indices along one axis that make up a place.
  private func taps(_ place: Float, _ extent: Int) -> [Tap] {
    let size = Float(extent)
    var x, slope: Float
    switch unit {
    case .middles: (x, slope) = ((place + 1) / 2 * (size - 1), (size - 1) / 2)
    case .edges: (x, slope) = (((place + 1) * size - 1) / 2, size / 2)
    case .pixels: (x, slope) = (place, 1)
    }
    // Places that are no number, or far outside, must not overflow an index.
    guard x.isFinite, abs(x) < 1e9 else {
      return padding == .zeros ? [] : [Tap(index: 0, weight: 1, slope: 0)]
    }
    if mode != .cubic {
      let confined = confined(x, extent)
      (x, slope) = (confined.place, slope * confined.slope)
    }
    if mode == .nearest { return tap(Int(x.rounded(.toNearestOrEven)), 1, 0, extent) }
    let first = x.rounded(.down)
    let t = x - first
    let i = Int(first)
    if mode == .linear { return tap(i, 1 - t, -slope, extent) + tap(i + 1, t, slope, extent) }
    return (-1...2).flatMap { k in
      let distance = Float(k) - t
      return tap(i + k, cubic(abs(distance)), (distance < 0 ? slope : -slope) * cubicSlope(abs(distance)), extent)
    }
  }

  private func tap(_ i: Int, _ weight: Float, _ slope: Float, _ extent: Int) -> [Tap] {
    if i >= 0, i < extent { return [Tap(index: i, weight: weight, slope: slope)] }
    if padding == .zeros { return [] }
    let inside = min(max(Int(confined(Float(i), extent).place.rounded()), 0), extent - 1)
    return [Tap(index: inside, weight: weight, slope: slope)]
  }

  /// A place outside of the axis brought onto it, as the border demands, and which way it moves then.
  private func confined(_ x: Float, _ extent: Int) -> (place: Float, slope: Float) {
    let last = Float(extent - 1)
    switch padding {
    case .zeros: return (x, 1)
    case .border: return clamped(x, last, slope: 1)
    case .reflection:
      // Between the centres of the outer elements, or between their outer edges.
      let (low, high): (Float, Float) = unit == .middles ? (0, last) : (-0.5, last + 0.5)
      let range = high - low
      if range == 0 { return (0, 0) }
      let distance = abs(x - low).truncatingRemainder(dividingBy: 2 * range)
      let isBack = distance > range
      let slope: Float = (x < low) != isBack ? -1 : 1
      return clamped(low + (isBack ? 2 * range - distance : distance), last, slope: slope)
    }
  }

  private func clamped(_ x: Float, _ last: Float, slope: Float) -> (place: Float, slope: Float) {
    (min(max(x, 0), last), x > 0 && x < last ? slope : 0)
  }

  /// Keys' cubic (1981) with a = -0.75.
  private func cubic(_ x: Float) -> Float {
    let a: Float = -0.75
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }

  private func cubicSlope(_ x: Float) -> Float {
    let a: Float = -0.75
    if x <= 1 { return (3 * (a + 2) * x - 2 * (a + 3)) * x }
    return x < 2 ? (3 * a * x - 10 * a) * x + 8 * a : 0
  }
}
