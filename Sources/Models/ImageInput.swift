import Engine
public import Images
public import Parallel
public import Tensors

/// One image that a caller gives: pixels to be prepared as the model's metadata says, or numbers fed as they are.
public enum ImageInput {
  case pixels(PixelView)
  /// Planar float32, [channels, height, width], whatever the arrangement of the model's input.
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
  /// How image files are read for it, as its preprocessing says.
  public var reading: Reading { metadata.preprocessing?.reading ?? Reading() }

  /// The image as the model sees it: resized and cropped, before it becomes numbers.
  public func shown(_ view: PixelView, _ progress: Progress) throws -> Image {
    let preprocessing = try preprocessing()
    try checkMemory(of: view, preprocessing)
    return try preprocessing.shown(view, progress)
  }

  private func checkMemory(of view: PixelView, _ preprocessing: Preprocessing) throws {
    try engine.limit.check(
      preprocessing.byteCount(for: view),
      for: "preparing an image of \(view.width)×\(view.height) pixels")
  }

  /// How images become the model's input. Throws `invalidArgument` where the model file does not say it.
  private func preprocessing() throws -> Preprocessing {
    guard let preprocessing = metadata.preprocessing else {
      throw Failure(
        .invalidArgument,
        "the model file does not say how images are prepared for it; add that with "
          + "`limpid-convert annotate MODEL OUT --preprocess …`, say it as the model is loaded (`--preprocess`, `preprocess`), or "
          + "feed float32 planes as they are")
    }
    return preprocessing
  }

  /// The shape [channels, height, width] that an image has at the model's input.
  public func preparedShape(of image: ImageInput) throws -> Shape {
    let found: (channels: Int, height: Int, width: Int)
    switch image {
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

  /// The model's input for one image, [1, channels, height, width]: what variants of it start from. `progress` is asked
  /// whether to go on.
  public func prepared(_ image: ImageInput, _ progress: Progress) throws -> Tensor {
    let shape = try preparedShape(of: image)
    let full = try Shape(checking: [1] + shape.dimensions)
    try engine.limit.check(full.count * 4, for: "the image")
    let tensor = try Tensor(.float32, full)
    try write(image, shape, into: tensor.data.assumingMemoryBound(to: Float.self), progress)
    return tensor
  }

  fileprivate func write(
    _ image: ImageInput, _ shape: Shape, into target: UnsafeMutablePointer<Float>, _ progress: Progress
  ) throws {
    switch image {
    case .pixels(let view):
      let preprocessing = try preprocessing()
      try checkMemory(of: view, preprocessing)
      try preprocessing.tensor(from: view, into: target, progress)
    case .planes(let values, _, _):
      try format?.check(UnsafeBufferPointer(start: values, count: shape.count))
      target.update(from: values, count: shape.count)
    }
  }

  /// Images as a stream of inputs; `progress` is asked while they are prepared whether to go on.
  public func stream(_ images: [ImageInput], _ progress: Progress) -> some InputStream {
    ImageStream(model: self, images: images, progress: progress)
  }
}

private struct ImageStream: InputStream {
  let model: Model
  let images: [ImageInput]
  let progress: Progress

  var count: Int { images.count }

  func image(_ i: Int) -> Int? { i }

  func shape(_ i: Int) throws -> Shape? { try located(i) { try model.preparedShape(of: images[i]) } }

  func write(_ i: Int, into target: UnsafeMutablePointer<Float>) throws {
    try located(i) { try model.write(images[i], model.preparedShape(of: images[i]), into: target, progress) }
  }

  /// One image alone needs no number.
  private func located<R>(_ i: Int, _ body: () throws -> R) throws -> R {
    images.count == 1 ? try body() : try locating("image \(i)", body)
  }
}
