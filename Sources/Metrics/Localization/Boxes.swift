import Explanations
import Models
import Tensors

/// A box in pixels: x1, y1 inside, x2, y2 outside.
struct Box {
  let x1, y1, x2, y2: Double

  /// The draws "boxes", for each map: [maps, 4], [maps, boxes, 4] (rows that are NaN or all −1 fill up), or rows of a
  /// map's number and its box, [rows, 5]; of a single map also [boxes, 4]. nil where none are fed.
  static func each(_ request: MeasurementRequest) throws -> [[Box]]? {
    guard let tensor = request.call.draws["boxes"] else { return nil }
    let values = try locating("draws \"boxes\"") { try tensor.doubles() }
    let extents = tensor.shape.dimensions
    // Other programs take such a box for an empty one.
    let isPrograms = try request.settings.word("compat") != "none"
    var boxes = [[Box]](repeating: [], count: request.count)
    func box(_ start: Int) -> Box {
      Box(x1: values[start], y1: values[start + 1], x2: values[start + 2], y2: values[start + 3])
    }
    func add(_ new: Box, to index: Int) throws {
      let corners = [new.x1, new.y1, new.x2, new.y2]
      if corners.contains(where: \.isNaN) || corners.allSatisfy({ $0 == -1 }) { return }
      guard corners.allSatisfy({ abs($0) < 1e9 }) else { throw Failure(.invalidArgument, "a box beyond all images") }
      guard isPrograms || new.x1 <= new.x2 && new.y1 <= new.y2 else {
        throw Failure(
          .invalidArgument,
          "a box from \(new.x1), \(new.y1) to \(new.x2), \(new.y2) ends before it begins; boxes are x1, y1, x2, y2, not a "
            + "corner with width and height")
      }
      boxes[index].append(new)
    }
    switch (extents.count, extents.last) {
    case (2, 4) where extents[0] == request.count || request.count == 1:
      for row in 0..<extents[0] { try add(box(4 * row), to: request.count == 1 ? 0 : row) }
    case (3, 4) where extents[0] == request.count:
      for row in 0..<extents[0] * extents[1] { try add(box(4 * row), to: row / extents[1]) }
    case (2, 5):
      for row in 0..<extents[0] {
        guard let index = Int(exactly: values[5 * row]), (0..<request.count).contains(index) else {
          throw Failure(
            .invalidArgument, "row \(row) of the boxes is of map \(values[5 * row]); there are \(request.count)")
        }
        try add(box(5 * row + 1), to: index)
      }
    default:
      throw Failure(
        .invalidArgument,
        "the draws \"boxes\" are of shape \(tensor.shape), not [\(request.count)×boxes×4] or [rows×5]")
    }
    return boxes
  }

  static let draw = Draw(
    "boxes",
    "[maps, boxes, 4]: x1, y1, x2, y2 in pixels, the latter two outside; or [rows, 5], the map's number first.")

  /// The pixels of an axis of `count` from `a` to `b`, rounded half to even.
  static func range(_ a: Double, _ b: Double, _ count: Int) -> Range<Int> {
    let first = min(max(0, Int(a.rounded(.toNearestOrEven))), count)
    return first..<max(first, min(Int(b.rounded(.toNearestOrEven)), count))
  }
}
