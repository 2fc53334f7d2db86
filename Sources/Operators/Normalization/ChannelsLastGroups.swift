import Kernels
import Parallel
import Tensors

/// InstanceNormalization and GroupNormalization where channels lie last, as behind a convolution: sums by channel,
/// which groups put together, in place of rows that two permutations would make.
struct ChannelsLastGroups: Sendable {
  private let shape: Shape
  private let images, pixels, channels: Int
  /// Channels of a group.
  private let size: Int
  /// How many numbers the scale and the shift have: one for each channel or group.
  private let parameters: Int
  private let epsilon: Float
  private let kernels: Kernels

  init(_ shape: Shape, groups: Int, parameters: Int, epsilon: Float, _ kernels: Kernels) {
    self.shape = shape
    (images, channels) = (shape[0], shape[1])
    pixels = shape.dimensions[2...].reduce(1, *)
    size = channels / groups
    self.parameters = parameters
    self.epsilon = epsilon
    self.kernels = kernels
  }

  func step(_ request: Request) throws -> Step {
    var layouts = request.standardLayouts
    layouts[0] = .channelsLast
    return Step(
      inputs: layouts, outputs: [Operand(.float32, shape, layout: .channelsLast)],
      workspace: 4 * (images + 1) * channels, overwritable: [0], run: run)
  }

  private func run(_ run: Invocation) {
    let (x, output): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
    let (scale, shift): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(1), run.input(2))
    let values = run.workspace.assumingMemoryBound(to: Float.self)
    let shifts = values + images * channels
    for channel in 0..<channels { shifts[channel] = shift[channel * parameters / channels] }

    kernels.reduce(.sum, outer: images, axis: pixels, inner: channels, x, into: values, run.parallel)
    forEachGroup(values) { mean, _ in mean }
    for image in 0..<images {
      let first = image * pixels * channels
      kernels.binary(
        .subtract, rows: pixels, columns: channels, x + first, aRowStride: channels, aColumnStride: 1,
        values + image * channels, bRowStride: 0, bColumnStride: 1, into: output + first, run.parallel)
    }
    kernels.reduce(.sumSquare, outer: images, axis: pixels, inner: channels, output, into: values, run.parallel)
    forEachGroup(values) { variance, channel in
      scale[channel * parameters / channels] / (variance + epsilon).squareRoot()
    }
    for image in 0..<images {
      let first = image * pixels * channels
      kernels.scaleColumns(
        rows: pixels, [(UnsafePointer(output + first), channels)], scale: values + image * channels, shift: shifts,
        into: output + first, run.parallel)
    }
  }

  /// Puts in place of each channel's sum what `body` makes of the mean over its group.
  private func forEachGroup(_ values: UnsafeMutablePointer<Float>, _ body: (_ mean: Float, _ channel: Int) -> Float) {
    for first in stride(from: 0, to: images * channels, by: size) {
      var sum = 0.0
      for i in first..<first + size { sum += Double(values[i]) }
      let mean = Float(sum / Double(size * pixels))
      for i in first..<first + size { values[i] = body(mean, i % channels) }
    }
  }
}
