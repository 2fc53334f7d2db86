import Explanations
import Models
import Tensors

/// Normal noise added to copies of an image: draws that the caller feeds, else those of the documented generator, copy
/// after copy from stream 0. Every image has the same, so that its map is the one that it has alone.
struct Noise {
  static let draw = Draw(
    "noise", "[samples, channels, height, width]: what is added, scaled already; the same for every image.")

  let samples: Int
  private let std: Float
  private let seed: UInt64
  private let given: [Float]?

  /// What is fed under "noise" is [samples, channels, height, width], perhaps with axes of extent 1 between, scaled
  /// already.
  init(_ request: ExplanationRequest, samples: Int, std: Float) throws {
    self.samples = samples
    self.std = std
    seed = request.seed
    given = try request.call.draws["noise"].map { tensor in
      guard tensor.shape.rank >= 4, tensor.shape[0] == samples else {
        throw Failure(
          .invalidArgument,
          "the draws \"noise\" are of shape \(tensor.shape), not [\(samples), channels, height, width]")
      }
      return try tensor.floats().array(of: Float.self)
    }
  }

  /// Adds the noise of copy `sample`.
  func add(_ sample: Int, _ values: UnsafeMutableBufferPointer<Float>) throws {
    let first = sample * values.count
    if let given {
      guard given.count == samples * values.count else {
        throw Failure(
          .invalidArgument, "the draws \"noise\" have \(given.count) numbers, not \(samples) times \(values.count)")
      }
      for i in values.indices { values[i] += given[first + i] }
      return
    }
    RandomNumbers(seed: seed).normal(first..<first + values.count) { i, value in
      values[i - first] += std * value
    }
  }
}
