public import Images
public import Parallel
import Tensors

extension Explanation {
  /// The grid in colours, over the image that was explained where it is given, as RGB. The one way to draw an
  /// explanation, behind C, Python and the command line.
  ///
  /// The papers' styles draw on the image as the model saw it, the standard one on the whole image, which stays as it
  /// is outside of the model's view. Without one it is the map alone, at the size of the image. `rendering.region` is
  /// overwritten. `progress` is asked now and then whether to go on.
  public func drawn(over image: PixelView?, _ rendering: Rendering, _ progress: Progress) throws -> Image {
    var rendering = rendering
    rendering.region = nil
    guard let image else { return try colored(over: nil, rendering, progress) }
    if rendering.style != .standard, let preprocessing = field.preprocessing {
      return try preprocessing.shown(image, progress).withView { try colored(over: $0, rendering, progress) }
    }
    rendering.region = field.region
    return try colored(over: image, rendering, progress)
  }

  /// The size of what `drawn` draws on, before it is enlarged.
  public func canvas(_ image: PixelView, _ rendering: Rendering) throws -> (width: Int, height: Int) {
    guard rendering.style != .standard, let preprocessing = field.preprocessing else {
      return (image.width, image.height)
    }
    let size = try preprocessing.outputSize(for: (image.width, image.height))
    return (size.width, size.height)
  }

  /// Bytes that `drawn` takes at most. Throws as it does.
  public func byteCount(over image: PixelView?, _ rendering: Rendering) throws -> Int {
    var rendering = rendering
    rendering.region = nil
    guard let image else {
      let map = (field.width, field.height)
      return try 4 * field.width * field.height + rendering.byteCount(map: map, over: nil)
    }
    let canvas = try canvas(image, rendering)
    if rendering.style == .standard { rendering.region = field.region }
    return try rendering.byteCount(map: (grid.width, grid.height), over: canvas)
  }

  private func colored(
    over image: PixelView?, _ rendering: Rendering, _ progress: Progress
  ) throws -> Image {
    func colored(_ values: UnsafeBufferPointer<Float>, _ width: Int, _ height: Int) throws -> Image {
      let map = try MapView(
        values: values, width: width, height: height, minimum: range.lowerBound, maximum: range.upperBound)
      return try render(map, over: image, rendering, progress)
    }
    guard image == nil else {
      return try grid.values.withUnsafeBufferPointer { try colored($0, grid.width, grid.height) }
    }
    return try map(progress).withUnsafeBufferPointer { try colored($0, field.width, field.height) }
  }
}
