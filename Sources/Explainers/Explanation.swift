public import FilterNaming
import Images
public import Models

/// A map of numbers, row by row.
public struct Grid: Sendable {
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
}

/// Why the model sees one class, or why not, in one picture.
public struct Explanation: Sendable {
  /// Index of the picture in its call.
  public let picture: Int
  /// -1 where the model has no classes.
  public let classIndex: Int
  /// The model's own score (logit) of the class, with its sign; without classes, the filter's activation.
  public let score: Float
  /// The map as the method produced it, covering what the model saw.
  public let grid: Grid
  /// What rendering spreads over the colours; for some methods the range over the maps of all classes.
  public let range: ClosedRange<Float>
  /// The picture's own size and the part of it that the model saw.
  public let field: Field
  /// For methods that look at one filter: the words for what it sees.
  public var reading: FilterReading?

  public init(
    picture: Int, classIndex: Int, score: Float, grid: Grid, range: ClosedRange<Float>? = nil, field: Field
  ) {
    self.picture = picture
    self.classIndex = classIndex
    self.score = score
    self.grid = grid
    self.range = range ?? grid.range
    self.field = field
  }

  /// Whether the map says nothing: it is constant, or not finite.
  public var isDegenerate: Bool {
    let range = grid.range
    return range.lowerBound == range.upperBound || !grid.values.allSatisfy(\.isFinite)
  }

  /// The map at the size of the picture, in its place: bilinear (half-pixel centres) where the model saw the picture,
  /// the smallest value outside of that.
  public func map() -> Grid { grid.placed(in: field, outside: range.lowerBound) }
}

extension Grid {
  func placed(in field: Field, outside: Float) -> Grid {
    let columns = Self.taps(field.width, from: field.region.x, extent: field.region.width, count: width)
    let rows = Self.taps(field.height, from: field.region.y, extent: field.region.height, count: height)
    return sampled(columns, rows, outside: outside)
  }

  /// The map at another size: bilinear, half-pixel centres.
  func resized(width newWidth: Int, height newHeight: Int) -> Grid {
    let columns = Self.taps(newWidth, from: 0, extent: Double(newWidth), count: width)
    let rows = Self.taps(newHeight, from: 0, extent: Double(newHeight), count: height)
    return sampled(columns, rows, outside: 0)
  }

  private typealias Tap = (low: Int, high: Int, weight: Float)

  private func sampled(_ columns: [Tap?], _ rows: [Tap?], outside: Float) -> Grid {
    var result = [Float](repeating: outside, count: columns.count * rows.count)
    for (y, row) in rows.enumerated() {
      guard let row else { continue }
      for (x, column) in columns.enumerated() {
        guard let column else { continue }
        let top = mix(values[row.low * width + column.low], values[row.low * width + column.high], column.weight)
        let bottom = mix(values[row.high * width + column.low], values[row.high * width + column.high], column.weight)
        result[y * columns.count + x] = mix(top, bottom, row.weight)
      }
    }
    return Grid(result, width: columns.count, height: rows.count)
  }

  private func mix(_ a: Float, _ b: Float, _ weight: Float) -> Float { a * (1 - weight) + b * weight }

  /// For each of `size` pixels the two cells of `count` that it lies between; nil where the model did not look.
  private static func taps(
    _ size: Int, from start: Double, extent: Double, count: Int
  ) -> [Tap?] {
    (0..<size).map { pixel in
      let position = (Double(pixel) + 0.5 - start) / extent
      guard position >= 0, position <= 1 else { return nil }
      let cell = max(0, min(position * Double(count) - 0.5, Double(count - 1)))
      let low = Int(cell)
      return (low, min(low + 1, count - 1), Float(cell - Double(low)))
    }
  }
}
