/// What a filter is called, and after what.
public struct FilterName: Sendable {
  /// A word that images of the filter have in common.
  public struct Word: Sendable {
    public let text: String
    public let index: Int
    /// How many images it is a word of, weighted.
    public let count: Double
  }

  /// An image that excites the filter.
  public struct Image: Sendable {
    /// Its place among the images of the call.
    public let index: Int
    /// The largest activation.
    public let activation: Float
    /// The nearest words to what the filter sees in it.
    public let words: [Match]
  }

  public let filter: Int
  /// Most common first.
  public let words: [Word]
  /// Those that it is named after, most exciting first. None where the filter is inactive: no image excites
  /// it.
  public let images: [Image]
  /// What activations of the filter's region are above; nil where the method needs no region.
  public let threshold: Double?

  public var isInactive: Bool { images.isEmpty }
}

/// What a filter sees in one image.
public struct FilterReading: Sendable {
  public struct Word: Sendable {
    public let text: String
    public let index: Int
    public let similarity: Float
  }

  public let filter: Int
  /// The largest activation; nothing was seen where it is not positive.
  public let activation: Float
  /// Nearest first; none where the filter is inactive in the image.
  public let words: [Word]
}
