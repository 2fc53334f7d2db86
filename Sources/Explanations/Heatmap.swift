import Images

/// A map of numbers, row by row.
public struct Heatmap: Sendable {
  public let values: [Float]
  public let width: Int
  public let height: Int

  public init(_ values: [Float], width: Int, height: Int) {
    precondition(values.count == width * height)
    self.values = values
    self.width = width
    self.height = height
  }

  /// The smallest and largest finite value; 0…0 where there is none.
  public var range: ClosedRange<Float> {
    let finite = values.lazy.filter(\.isFinite)
    guard let low = finite.min(), let high = finite.max() else { return 0...0 }
    return low...high
  }

  /// Whether the values differ by no more than float32 may err, 1e-5 of the largest magnitude. What is the same
  /// everywhere comes out of a network with the rounding of its sums, and that of Winograd's convolutions is not the
  /// same at every pixel: with a constant image, maps differed by up to 3e-6 of their values.
  public var isFlat: Bool {
    let range = range
    return range.upperBound - range.lowerBound <= 1e-5 * max(abs(range.lowerBound), abs(range.upperBound))
  }

  /// The values between 0 (the smallest) and 1 (the largest); all 0 where they are equal but for rounding.
  public var spread: Heatmap { spread(adding: 0) }

  /// The same, `epsilon` added to the extent that is divided by, as some programs do.
  public func spread(adding epsilon: Float) -> Heatmap {
    let range = range
    let extent = epsilon == 0 && isFlat ? 0 : range.upperBound - range.lowerBound + epsilon
    return Heatmap(
      values.map { extent > 0 ? ($0 - range.lowerBound) / extent : 0 }, width: width, height: height)
  }

  /// The map at another size: bilinear, half-pixel centres.
  public func resized(width newWidth: Int, height newHeight: Int) -> Heatmap {
    let columns = Neighbours.centred(newWidth, from: 0, extent: Double(newWidth), count: width)
    let rows = Neighbours.centred(newHeight, from: 0, extent: Double(newHeight), count: height)
    return Heatmap(interpolated(columns, rows, outside: 0), width: newWidth, height: newHeight)
  }

  /// The map at the size of the image, in its place: bilinear (half-pixel centres) where the model saw the image,
  /// `outside` elsewhere.
  func placed(in field: Field, outside: Float) -> Heatmap {
    let columns = Neighbours.centred(
      field.width, from: field.region.x, extent: field.region.width, count: width)
    let rows = Neighbours.centred(field.height, from: field.region.y, extent: field.region.height, count: height)
    return Heatmap(interpolated(columns, rows, outside: outside), width: field.width, height: field.height)
  }

  private func interpolated(_ columns: [Neighbours?], _ rows: [Neighbours?], outside: Float) -> [Float] {
    values.withUnsafeBufferPointer { interpolate($0, width: width, columns, rows, outside: outside) }
  }
}
