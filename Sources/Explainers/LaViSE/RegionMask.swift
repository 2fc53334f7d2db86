import Images
import Parallel
import Tensors

/// Where annotations lie, seen as the network sees the image (LaViSE's masks of boxes).
public struct RegionMask: Sendable {
  /// In pixels of the image.
  public struct Box: Sendable {
    public let x, y, width, height: Int

    public init(x: Int, y: Int, width: Int, height: Int) {
      (self.x, self.y, self.width, self.height) = (x, y, width, height)
    }
  }

  private static let shorter = 256
  private static let crop = 224

  /// Which of `size` cells of the network's view the boxes cover: resized (shorter side 256) and cropped
  /// (224) as the image, then to `size`, each time taking the nearest pixel.
  ///
  /// `swapped`: as all three programs do, which give the mask as many rows as the image has columns, so
  /// that masks of images that are not square are cut off and distorted.
  public static func cells(
    of boxes: [Box], width: Int, height: Int, to size: (width: Int, height: Int), swapped: Bool = false
  ) throws -> [Bool] {
    let side = 1...Image.maximumSide
    guard side.contains(width), side.contains(height), side.contains(size.width), side.contains(size.height) else {
      throw Failure(.invalidArgument, "a mask of \(width)×\(height) in \(size.width)×\(size.height) cells")
    }
    let canvas = swapped ? (width: height, height: width) : (width: width, height: height)
    let short = min(canvas.width, canvas.height)
    let columns = try sources(canvas.width, short, cells: size.width)
    let rows = try sources(canvas.height, short, cells: size.height)
    return rows.flatMap { y in
      columns.map { x in
        boxes.contains { covers($0.x, $0.width, x) && covers($0.y, $0.height, y) }
      }
    }
  }

  private static func covers(_ start: Int, _ length: Int, _ position: Int) -> Bool {
    position >= start && position - max(start, 0) < length - max(-start, 0)
  }

  /// For each cell of an axis the pixel of the canvas that it shows.
  private static func sources(_ extent: Int, _ short: Int, cells: Int) throws -> [Int] {
    let resized = try nearest((0..<extent).map(Float.init), to: shorter * extent / short)
    // Halves to even, as Python rounds.
    let first = Int((Double(resized.count - crop) / 2).rounded(.toNearestOrEven))
    return try nearest(Array(resized[first..<first + crop]), to: cells).map { Int($0) }
  }

  private static func nearest(_ values: [Float], to count: Int) throws -> [Float] {
    try values.withUnsafeBufferPointer {
      Array(try resize($0, width: values.count, height: 1, to: (count, 1), filter: .nearest, .unwatched))
    }
  }
}
