import Graph
import Parallel
import Tensors

/// GridSample over two spatial axes: the input read at the places that a grid [N, H, W, 2] names as (x, y).
enum GridSample {
  static let definitions = [OperatorDefinition("GridSample", plan: plan)]

  private enum Mode { case nearest, linear, cubic }
  private enum Padding: String { case zeros, border, reflection }

  private static func plan(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    try request.require(1, .float32)
    let (x, grid) = (try request.input(0).shape, try request.input(1).shape)
    guard x.rank == 4, grid.rank == 4, grid[0] == x[0], grid[3] == 2, x[2] > 0, x[3] > 0 else {
      throw Failure(.unsupported, "input \(x) and grid \(grid); supported: [N, C, H, W] and [N, height, width, 2]")
    }
    let modes: [String: Mode] = [
      "bilinear": .linear, "linear": .linear, "nearest": .nearest, "bicubic": .cubic, "cubic": .cubic,
    ]
    let name = try request.node.string("mode", default: "linear")
    let border = try request.node.string("padding_mode", default: "zeros")
    guard let mode = modes[name], let padding = Padding(rawValue: border) else {
      throw Failure(.invalidModel, "mode \"\(name)\" with padding_mode \"\(border)\"")
    }
    let sampler = Sampler(
      height: x[2], width: x[3], channels: x[1], mode: mode, padding: padding,
      alignsCorners: try request.node.flag("align_corners"))
    let output = try Shape(checking: [x[0], x[1], grid[1], grid[2]])
    let pixels = grid[1] * grid[2]
    return Step(
      inputs: [.channelsLast, .standard], outputs: [Operand(.float32, output, layout: .channelsLast)]
    ) { run in
      let (source, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
      let places: UnsafePointer<Float> = run.input(1)
      run.parallel.forEach(x[0] * pixels, grain: 64) { range in
        for pixel in range {
          let picture = source + pixel / pixels * x[1] * x[2] * x[3]
          sampler.sample(
            picture, places[2 * pixel], places[2 * pixel + 1], into: target + pixel * sampler.channels)
        }
      }
    }
  }

  private struct Sampler: Sendable {
    let height: Int
    let width: Int
    let channels: Int
    let mode: Mode
    let padding: Padding
    let alignsCorners: Bool

    func sample(_ x: UnsafePointer<Float>, _ gridX: Float, _ gridY: Float, into target: UnsafeMutablePointer<Float>) {
      target.update(repeating: 0, count: channels)
      for (row, rowWeight) in taps(gridY, height) {
        for (column, columnWeight) in taps(gridX, width) {
          let weight = rowWeight * columnWeight
          let source = x + (row * width + column) * channels
          for c in 0..<channels { target[c] += weight * source[c] }
        }
      }
    }

    /// The indices along one axis that make up a place from -1 to 1, with their weights.
    private func taps(_ place: Float, _ extent: Int) -> [(Int, Float)] {
      let size = Float(extent)
      var x = alignsCorners ? (place + 1) / 2 * (size - 1) : ((place + 1) * size - 1) / 2
      // Places that are no number, or far outside, must not overflow an index.
      guard x.isFinite, abs(x) < 1e9 else { return padding == .zeros ? [] : [(0, 1)] }
      if mode != .cubic { x = confined(x, extent) }
      if mode == .nearest { return tap(Int(x.rounded(.toNearestOrEven)), 1, extent) }
      let first = x.rounded(.down)
      let t = x - first
      let i = Int(first)
      if mode == .linear { return tap(i, 1 - t, extent) + tap(i + 1, t, extent) }
      return (-1...2).flatMap { tap(i + $0, cubic(abs(Float($0) - t)), extent) }
    }

    private func tap(_ i: Int, _ weight: Float, _ extent: Int) -> [(Int, Float)] {
      if i >= 0, i < extent { return [(i, weight)] }
      if padding == .zeros { return [] }
      return [(min(max(Int(confined(Float(i), extent).rounded()), 0), extent - 1), weight)]
    }

    /// A place outside of the axis brought onto it, as the border demands.
    private func confined(_ x: Float, _ extent: Int) -> Float {
      let last = Float(extent - 1)
      switch padding {
      case .zeros: return x
      case .border: return min(max(x, 0), last)
      case .reflection:
        // Between the centres of the outer elements, or between their outer edges.
        let (low, high): (Float, Float) = alignsCorners ? (0, last) : (-0.5, last + 0.5)
        let range = high - low
        if range == 0 { return 0 }
        let distance = abs(x - low).truncatingRemainder(dividingBy: 2 * range)
        return min(max(low + (distance > range ? 2 * range - distance : distance), 0), last)
      }
    }

    /// Keys' cubic (1981) with a = -0.75.
    private func cubic(_ x: Float) -> Float {
      let a: Float = -0.75
      if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }
  }
}
