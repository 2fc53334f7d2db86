import Explanations
import Images
import Parallel
import Tensors

/// How an explanation is drawn on its image.
struct Overlay {
  /// Of the result.
  enum Size {
    /// The image's own, but small images enlarged so that one sees something.
    case automatic
    /// Every pixel becomes a square of so many.
    case factor(Int)
    /// In pixels; 0: as the aspect ratio demands.
    case pixels(width: Int, height: Int)
  }

  static let options = [
    Option("colormap", "NAME", "colours of the map (default: the style's); see limpid colormaps"),
    Option("style", "NAME", "\(Rendering.Style.allCases.map(\.rawValue).joined(separator: ", "))"),
    Option("opacity", "X", "of the map over the image, 0 to 1 (default: the style's)"),
    Option("size", "WxH", "pixels of the overlay; Wx or xH keeps the aspect ratio"),
    Option("scale", "N", "enlarge the image N times instead (default: 1; small images more)"),
  ]

  private let style: Rendering.Style
  private let colormap: Colormap?
  private let opacity: Float?
  private let size: Size

  init(_ arguments: Arguments) throws {
    style = try arguments.text("style").map(Rendering.Style.named) ?? .standard
    colormap = try arguments.text("colormap").map(Colormap.named)
    opacity = try arguments.number("opacity", in: 0...1).map { Float($0) }
    let factor = try arguments.integer("scale", in: 1...256)
    switch (factor, arguments.text("size")) {
    case (nil, nil): size = .automatic
    case (let factor?, nil): size = .factor(factor)
    case (nil, let text?): size = try Self.pixels(text)
    default: throw Failure(.invalidArgument, "--size and --scale exclude each other")
    }
  }

  private static func pixels(_ text: String) throws -> Size {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { $0.isEmpty ? 0 : Int($0) ?? -1 }
    guard sides.count == 2, sides.allSatisfy({ (0...Image.maximumSide).contains($0) }), sides != [0, 0] else {
      throw Failure(.invalidArgument, "--size is \(quoted(text)); it must be like 640x480, 640x or x480")
    }
    return .pixels(width: sides[0], height: sides[1])
  }

  /// How maps are drawn, in whatever size.
  var rendering: Rendering {
    var rendering = Rendering(style)
    rendering.colormap = colormap
    rendering.opacity = opacity
    return rendering
  }

  /// The overlay, RGB.
  func draw(_ explanation: Explanation, on image: Image) throws -> Image {
    var rendering = rendering
    return try image.withView { view in
      switch size {
      case .pixels(let width, let height): (rendering.width, rendering.height) = (width, height)
      case .factor(let factor): rendering.scale = factor
      case .automatic: rendering.scale = try Rendering.legibleScale(explanation.canvas(view, rendering))
      }
      return try explanation.drawn(over: view, rendering, .unwatched)
    }
  }
}
