import Explanations
import Images
import Parallel

/// Why an image is of a class.
public struct Explanation: Sendable {
  private let found: Explanations.Explanation
  public let label: String?

  init(_ found: Explanations.Explanation, label: String?) {
    self.found = found
    self.label = label
  }

  /// The method that made it.
  public var method: String { found.method }
  public var classIndex: Int { found.classIndex }
  /// The class's score in the image: a probability, or of a method with scores of its own that.
  public var score: Float { found.score }
  /// The map at the size of the image, row by row.
  public var map: Map {
    get throws {
      let field = found.field
      return Map(width: field.width, height: field.height, values: Array(try translated { try found.map(.unwatched) }))
    }
  }
  /// The map as the method made it.
  public var grid: Map { Map(width: found.grid.width, height: found.grid.height, values: found.grid.values) }
  /// What the ends of a colour map stand for.
  public var range: ClosedRange<Float> { found.range }
  /// Whether the map is the same everywhere and so says nothing.
  public var isDegenerate: Bool { found.isDegenerate }

  /// The map in colours over the image that was explained. `opacity` in 0…1.
  public func overlay(on image: Image, colormap: String = "viridis", opacity: Float? = nil) throws -> Image {
    try translated {
      var rendering = Rendering()
      rendering.colormap = try Colormap.named(colormap)
      rendering.opacity = opacity
      return Image(try image.image.withView { try found.drawn(over: $0, rendering, .unwatched) })
    }
  }

  public struct Map: Sendable {
    public let width: Int
    public let height: Int
    public let values: [Float]

    init(width: Int, height: Int, values: [Float]) { (self.width, self.height, self.values) = (width, height, values) }

    public subscript(x: Int, y: Int) -> Float { values[y * width + x] }
  }
}
