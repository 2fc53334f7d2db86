import Images
import Parallel
import Tensors

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
  public var range: ClosedRange<Float> { values.finiteRange }

  /// Whether the values differ by no more than float32 may err, 1e-5 of the largest magnitude. What is the same
  /// everywhere comes out of a network with the rounding of its sums, and that of Winograd's convolutions is not the
  /// same at every pixel: with a constant image, maps differed by up to 3e-6 of their values.
  public var isFlat: Bool { range.isFlat }

  /// The values between 0 (the smallest) and 1 (the largest); all 0 where they are equal but for rounding. What is no
  /// number stays none.
  public var spread: Heatmap { spread(adding: 0) }

  /// The same, `epsilon` added to the extent that is divided by, as some programs do.
  public func spread(adding epsilon: Float) -> Heatmap {
    Heatmap(values.map(range.spreading(adding: epsilon)), width: width, height: height)
  }

  /// The map at another size: bilinear, half-pixel centres.
  public func resized(width newWidth: Int, height newHeight: Int) throws -> Heatmap {
    let columns = try Neighbours.centred(newWidth, from: 0, extent: Double(newWidth), count: width)
    let rows = try Neighbours.centred(newHeight, from: 0, extent: Double(newHeight), count: height)
    return Heatmap(Array(try interpolated(columns, rows, outside: 0, .unwatched)), width: newWidth, height: newHeight)
  }

  /// The map at the size of the image, in its place: bilinear (half-pixel centres) where the model saw the image,
  /// `outside` elsewhere: [field.height, field.width].
  func placed(in field: Field, outside: Float, _ progress: Progress) throws -> Buffer<Float> {
    let columns = try Neighbours.centred(
      field.width, from: field.region.x, extent: field.region.width, count: width)
    let rows = try Neighbours.centred(
      field.height, from: field.region.y, extent: field.region.height, count: height)
    return try interpolated(columns, rows, outside: outside, progress)
  }

  private func interpolated(
    _ columns: Buffer<Neighbours?>, _ rows: Buffer<Neighbours?>, outside: Float, _ progress: Progress
  ) throws -> Buffer<Float> {
    try values.withUnsafeBufferPointer { try interpolate($0, width: width, columns, rows, outside: outside, progress) }
  }
}

extension Collection<Float> {
  /// The smallest and largest finite value; 0…0 where there is none.
  var finiteRange: ClosedRange<Float> {
    let finite = lazy.filter(\.isFinite)
    guard let low = finite.min(), let high = finite.max() else { return 0...0 }
    return low...high
  }
}

extension ClosedRange<Float> {
  /// As `Heatmap.isFlat` of a map with this range.
  var isFlat: Bool { upperBound - lowerBound <= 1e-5 * Swift.max(abs(lowerBound), abs(upperBound)) }

  /// As `Heatmap.spread` changes the values of a map with this range.
  func spreading(adding epsilon: Float) -> (Float) -> Float {
    let extent = epsilon == 0 && isFlat ? 0 : upperBound - lowerBound + epsilon
    return { extent > 0 ? ($0 - lowerBound) / extent : $0.isFinite ? 0 : .nan }
  }
}
