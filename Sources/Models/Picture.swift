import Engine
public import Images
import Tensors

/// One image that a caller gives: pixels to be prepared as the model's metadata says, or numbers fed as they are.
public enum Picture {
  case pixels(PixelView)
  /// Planar float32, [channels, height, width].
  case planes(UnsafePointer<Float>, width: Int, height: Int)

  public var width: Int {
    switch self {
    case .pixels(let view): view.width
    case .planes(_, let width, _): width
    }
  }

  public var height: Int {
    switch self {
    case .pixels(let view): view.height
    case .planes(_, _, let height): height
    }
  }
}

extension Model {
  /// The picture as the model sees it: resized and cropped, before it becomes numbers.
  public func shown(_ view: PixelView) throws -> Image { try preprocessing().shown(view) }

  /// How images become the model's input. Throws `invalidArgument` where the model file does not say it.
  private func preprocessing() throws -> Preprocessing {
    guard let preprocessing = metadata.preprocessing else {
      throw Failure(
        .invalidArgument,
        "the model file does not say how images are prepared for it; add that with "
          + "`limpid-convert annotate MODEL OUT --preprocess …`, or feed float32 planes as they are")
    }
    return preprocessing
  }

  /// The shape [channels, height, width] that a picture has at the model's input.
  func preparedShape(of picture: Picture) throws -> Shape {
    let found: (channels: Int, height: Int, width: Int)
    switch picture {
    case .planes(_, let width, let height):
      guard let channels = inputSize.channels else {
        throw Failure(
          .unsupported, "the model's input has no fixed number of channels, so planar floats cannot be fed to it")
      }
      found = (channels, height, width)
    case .pixels(let view):
      found = try preprocessing().outputSize(for: (view.width, view.height))
    }
    for (name, declared, actual) in [
      ("channels", inputSize.channels, found.channels), ("height", inputSize.height, found.height),
      ("width", inputSize.width, found.width),
    ] {
      if let declared, declared != actual {
        throw Failure(
          .invalidArgument,
          "the image comes to \(found.channels)×\(found.height)×\(found.width) (channels×height×width) at the "
            + "model's input, whose \(name) must be \(declared)")
      }
    }
    return try Shape(checking: [found.channels, found.height, found.width])
  }

  /// The model's input for pictures of one prepared shape, [batch, channels, height, width]. Where `batch` is more than
  /// the pictures, the rest is zero.
  func prepared(_ pictures: ArraySlice<Picture>, shape: Shape, batch: Int) throws -> Tensor {
    let full = try Shape(checking: [batch] + shape.dimensions)
    try engine.limit.check(full.count * 4, for: "the batch of \(batch) images")
    let tensor = try Tensor(.float32, full)
    let target = tensor.data.assumingMemoryBound(to: Float.self)
    for (i, picture) in pictures.enumerated() {
      switch picture {
      case .pixels(let view): try metadata.preprocessing?.tensor(from: view, into: target + i * shape.count)
      case .planes(let values, _, _): (target + i * shape.count).update(from: values, count: shape.count)
      }
    }
    (target + pictures.count * shape.count).update(repeating: 0, count: (batch - pictures.count) * shape.count)
    return tensor
  }
}
