public import Images
public import Parallel

extension Rendering {
  /// By how much an image is enlarged so that one sees something: those with a side below 128 pixels by the whole
  /// number that brings this side to 256 or just beyond, and no side beyond 4096.
  public static func legibleScale(_ size: (width: Int, height: Int)) -> Int {
    let (shorter, longer) = (min(size.width, size.height), max(size.width, size.height))
    guard shorter < 128 else { return 1 }
    return max(1, min((256 + shorter - 1) / shorter, 4096 / longer))
  }
}

extension Explanation {
  /// Drawn over the image in a size for pages: small images enlarged, no side of others longer than `longest`.
  public func legible(
    over image: PixelView, _ rendering: Rendering, longest: Int, _ progress: Progress
  ) throws -> Image {
    var rendering = rendering
    let canvas = try canvas(image, rendering)
    rendering.scale = Rendering.legibleScale(canvas)
    if max(canvas.width, canvas.height) > longest {
      (rendering.width, rendering.height) = canvas.width > canvas.height ? (longest, 0) : (0, longest)
    }
    return try drawn(over: image, rendering, progress)
  }
}

extension Image {
  /// Small images enlarged, in the same way.
  public func legible(_ progress: Progress) throws -> Image {
    let scale = Rendering.legibleScale((width, height))
    return try resized(width: scale * width, height: scale * height, filter: .nearest, progress)
  }
}
