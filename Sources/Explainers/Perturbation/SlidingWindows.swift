import Explanations
import Kernels
import Models
import Tensors

/// The places of a window that slides along channels, rows and columns.
struct SlidingWindows {
  static let parameters = [
    Parameter("window_height", default: 0, in: 0...100_000, "In pixels of the model's input; 0: a seventh of it."),
    Parameter("window_width", default: 0, in: 0...100_000, "In pixels of the model's input; 0: a seventh of it."),
    Parameter("window_channels", default: 0, in: 0...100_000, "Colours that are covered together; 0: all."),
    Parameter("stride_y", default: 0, in: 0...100_000, "Not above the window's height; 0: half of it."),
    Parameter("stride_x", default: 0, in: 0...100_000, "Not above the window's width; 0: half of it."),
    Parameter("stride_channels", default: 0, in: 0...100_000, "Not above the window's channels; 0: those."),
  ]

  private let places: [[Range<Int>]]
  private let shape: Shape

  init(_ request: ExplanationRequest, _ subject: Subject) throws {
    shape = subject.shape
    let names = [("window_channels", "stride_channels"), ("window_height", "stride_y"), ("window_width", "stride_x")]
    let extents = subject.shape.dimensions
    var places: [[Range<Int>]] = []
    for (axis, (window, stride)) in names.enumerated() {
      let asked = try request.settings.integer(window)
      let length = min(extents[axis], asked > 0 ? asked : axis == 0 ? extents[0] : max(1, (extents[axis] + 3) / 7))
      let step = try request.settings.integer(stride)
      guard step <= length else {
        throw Failure(
          .invalidArgument,
          "the parameter \(quoted(stride)) is \(step), above the window's \(length): values between "
            + "the windows would get no attribution")
      }
      let distance = step > 0 ? step : axis == 0 ? length : (length + 1) / 2
      let count = (extents[axis] - length + distance - 1) / distance + 1
      places.append((0..<count).map { $0 * distance..<min($0 * distance + length, extents[axis]) })
    }
    self.places = places
  }

  var count: Int { places.reduce(1) { $0 * $1.count } }

  /// The rows and columns of each window.
  var regions: [Region] {
    (0..<count).map { i in
      Region(rows: places[1][i / places[2].count % places[1].count], columns: places[2][i % places[2].count])
    }
  }

  /// Calls `body` with the place of every value that window `i` covers.
  func forEachValue(of i: Int, _ body: (Int) -> Void) {
    let columns = places[2][i % places[2].count]
    let rest = i / places[2].count
    for c in places[0][rest / places[1].count] {
      for y in places[1][rest % places[1].count] {
        for x in columns { body((c * shape[1] + y) * shape[2] + x) }
      }
    }
  }
}
