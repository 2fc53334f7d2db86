public import Images

/// Which part of an image a model saw, and how.
public struct Field: Sendable {
  /// The size of the image.
  public let width: Int
  public let height: Int
  /// What the model saw, in the image's own pixels; may reach beyond the image.
  public let region: Region
  /// How the image became the model's input; nil for numbers that were fed as they are.
  public let preprocessing: Preprocessing?

  public init(width: Int, height: Int, region: Region, preprocessing: Preprocessing? = nil) {
    self.width = width
    self.height = height
    self.region = region
    self.preprocessing = preprocessing
  }

  /// The whole of an image.
  public init(width: Int, height: Int) {
    self.init(
      width: width, height: height, region: Region(x: 0, y: 0, width: Double(width), height: Double(height)))
  }
}
