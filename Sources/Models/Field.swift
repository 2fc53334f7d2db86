public import Images

/// Which part of a picture a model saw.
public struct Field: Sendable {
  /// The size of the picture.
  public let width: Int
  public let height: Int
  /// What the model saw, in the picture's own pixels; may reach beyond the picture.
  public let region: Region
}

extension Model {
  /// What the model sees of `picture`.
  public func field(of picture: Picture) throws -> Field {
    let (width, height) = (picture.width, picture.height)
    let whole = Region(x: 0, y: 0, width: Double(width), height: Double(height))
    guard case .pixels = picture, let preprocessing = metadata.preprocessing else {
      return Field(width: width, height: height, region: whole)
    }
    return Field(width: width, height: height, region: try preprocessing.footprint(of: (width, height)))
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
