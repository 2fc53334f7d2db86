public import Explanations
import Images

extension Model {
  /// What the model sees of `image`.
  public func field(of image: ImageInput) throws -> Field {
    guard case .pixels = image, let preprocessing = metadata.preprocessing else {
      return Field(width: image.width, height: image.height)
    }
    return Field(
      width: image.width, height: image.height,
      region: try preprocessing.footprint(of: (image.width, image.height)), preprocessing: preprocessing)
  }
}
