/// Which part of a picture a model saw, in the picture's own pixels.
public struct Field: Sendable {
  /// The size of the picture.
  public let width: Int
  public let height: Int
  /// The upper left corner and the extent of what the model saw; may reach beyond the picture.
  public let x: Double
  public let y: Double
  public let visibleWidth: Double
  public let visibleHeight: Double
}

extension Model {
  /// What the model sees of `picture`.
  public func field(of picture: Picture) throws -> Field {
    let (width, height) = (picture.width, picture.height)
    guard case .pixels = picture, let preprocessing = metadata.preprocessing else {
      return Field(
        width: width, height: height, x: 0, y: 0, visibleWidth: Double(width), visibleHeight: Double(height))
    }
    let seen = try preprocessing.field(width: width, height: height)
    return Field(
      width: width, height: height, x: seen.x, y: seen.y, visibleWidth: seen.width, visibleHeight: seen.height)
  }
}
