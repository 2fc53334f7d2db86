public import Parallel
public import Tensors

/// Why the model sees one class, or why not, in one image.
public struct Explanation: Sendable {
  /// Index of the image in its call.
  public let image: Int
  /// -1 where the model has no classes.
  public let classIndex: Int
  /// The model's own score (logit) of the class, with its sign; without classes, the filter's activation.
  public let score: Float
  /// The map as the method produced it, covering what the model saw.
  public let grid: Heatmap
  /// What rendering spreads over the colours; for some methods the range over the maps of all classes.
  public let range: ClosedRange<Float>
  /// The image's own size and the part of it that the model saw.
  public let field: Field
  /// Arrays that the method gives beside its map, by their documented names: "weights", "attribution".
  public var details: [(name: String, tensor: Tensor)]
  /// What one method alone says, in a type of its own.
  public var attachment: (any Sendable)?

  /// Whether the map at the size of the image is spread over 0…1 once more, as some programs do.
  public var isSpreadWhenEnlarged = false

  /// The method, filled in by the call that ran it, as are the next two.
  public var method = ""
  /// Every parameter of the method with the value that was used, in the order of its table.
  public var parameters: [(name: String, value: ParameterValue)] = []
  /// Of the random numbers; nil where the method draws none.
  public var seed: UInt64?

  public init(
    image: Int, classIndex: Int, score: Float, grid: Heatmap, range: ClosedRange<Float>? = nil, field: Field,
    details: [(name: String, tensor: Tensor)] = [], attachment: (any Sendable)? = nil
  ) {
    self.image = image
    self.classIndex = classIndex
    self.score = score
    self.grid = grid
    self.range = range ?? grid.range
    self.field = field
    self.details = details
    self.attachment = attachment
  }

  /// Whether the map says nothing: it is constant but for rounding, or not finite.
  public var isDegenerate: Bool { grid.isFlat || !isFinite }

  /// Whether every value of the map is a finite number.
  public var isFinite: Bool { grid.values.allSatisfy(\.isFinite) }

  /// The map at the size of the image, in its place: bilinear (half-pixel centres) where the model saw the image, the
  /// smallest value outside of that: [field.height, field.width]. Throws where there is no memory for it.
  /// `progress` is asked between the rows whether to go on.
  public func map(_ progress: Progress) throws -> Buffer<Float> {
    let map = try grid.placed(in: field, outside: range.lowerBound, progress)
    guard isSpreadWhenEnlarged else { return map }
    return try Buffer(map.lazy.map(map.finiteRange.spreading(adding: 0)))
  }
}
