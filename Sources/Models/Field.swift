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

extension Preprocessing {
  /// The extents of the tensor where they are the same for images of every size.
  var fixedOutputSize: (channels: Int, height: Int, width: Int)? {
    var size: (width: Int, height: Int)?
    for step in steps {
      switch step {
      case .resizeExact(let width, let height, _), .centerCrop(let width, let height): size = (width, height)
      case .resizeShorter: size = nil
      case .gray, .scale, .normalize: break
      }
    }
    return size.map { (channels, $0.height, $0.width) }
  }
}
