public import Models
import Engine
import Graph
import Kernels
import Parallel
import Tensors

/// LaViSE (Yang, Kim & Joo, CVPR 2022, "Explaining Deep Convolutional Neural Networks via Latent
/// Visual-Semantic Filter Attention"): the perceptron that turns what a filter attends to into a word vector,
/// and its vocabulary.
public struct FilterExplainer: Sendable {
  static let name = "lavise"

  let model: Model
  /// The maps of the target layer, [N, C, h, w].
  let features: ValueID
  /// What the perceptron reads, [rows, D], and what it makes of it, [rows, E].
  private let pooled: ValueID
  private let embedding: ValueID
  /// Whether it reads attended maps as they are instead of their means.
  private let readsMaps: Bool
  public let vocabulary: Vocabulary

  public static func isIn(_ model: Model) -> Bool { model.metadata.parameter("pooled", of: name) != nil }

  /// Throws `unsupported` where the model has no such explainer.
  public init(_ model: Model) throws {
    guard Self.isIn(model) else {
      throw Failure(
        .unsupported,
        "this model of family \(quoted(model.metadata.family)) does not name filters; limpid-convert lavise makes "
          + "models that do")
    }
    func value(_ parameter: String) throws -> ValueID {
      guard let name = model.metadata.parameter(parameter, of: Self.name) else {
        throw Failure(.invalidModel, "metadata limpid.explain.\(Self.name).\(parameter) is missing")
      }
      return try locating("metadata limpid.explain.\(Self.name).\(parameter)") { try model.value(named: name) }
    }
    func weight(_ parameter: String) throws -> Tensor {
      guard let tensor = model.graph.constants[try value(parameter)] else {
        throw Failure(.invalidModel, "metadata limpid.explain.\(Self.name).\(parameter) names no weight")
      }
      return tensor
    }
    self.model = model
    features = try value("features")
    pooled = try value("pooled")
    embedding = try value("embedding")
    readsMaps = model.metadata.parameter("head", of: Self.name) == "flatten"
    vocabulary = try Vocabulary(vectors: weight("vocabulary"), text: weight("words"))
  }

  /// What a filter attends to in `maps`, for each of `weights`, which are [rows, positions]: the maps
  /// weighted position by position, and their means over all positions unless the perceptron reads the maps
  /// themselves. [rows, D].
  func attended(_ maps: FeatureMaps, _ weights: [Float], _ parallel: Parallel) -> [Float] {
    let (channels, positions) = (maps.channels, maps.positions)
    let rows = weights.count / positions
    if readsMaps {
      return (0..<rows).flatMap { row in
        (0..<channels * positions).map { maps.base[$0] * weights[row * positions + $0 % positions] }
      }
    }
    var result = [Float](repeating: 0, count: rows * channels)
    result.withUnsafeMutableBufferPointer { result in
      guard let target = result.baseAddress else { return }
      weights.withUnsafeBufferPointer { weights in
        guard let weights = weights.baseAddress else { return }
        model.engine.kernels.multiplyTransposed(
          rows: rows, depth: positions, columns: channels, weights, stride: positions, maps.base, into: target,
          stride: channels, .none, parallel)
      }
      for i in result.indices { result[i] /= Float(positions) }
    }
    return result
  }

  /// The word vectors of `rows` rows of `attended`, [rows, E].
  func embeddings(of attended: [Float], rows: Int, _ parallel: Parallel, _ progress: Progress) throws -> [Float] {
    guard rows > 0 else { return [] }
    let width = attended.count / rows
    var result: [Float] = []
    var first = 0
    while first < rows {
      // Few different sizes, so that few plans are made.
      let size = [1, 4, 16].first { $0 >= rows - first } ?? 64
      let count = min(size, rows - first)
      let part = attended[first * width..<(first + count) * width] + Array(repeating: 0, count: (size - count) * width)
      let made = try model.engine.run(
        [(pooled, Tensor(Array(part), [size, width]))], fetch: [embedding], parallel: parallel,
        progress: progress.range(first..<first + count, of: rows))
      guard made[0].type == .float32, made[0].shape == [size, vocabulary.size] else {
        throw Failure(
          .invalidModel,
          "the explainer makes \(made[0].type) \(made[0].shape) of \(size) rows; its vocabulary needs "
            + "float32 [\(size)×\(vocabulary.size)]")
      }
      result += made[0].array(of: Float.self).prefix(count * vocabulary.size)
      first += count
    }
    return result
  }

  /// The nearest words of word vectors.
  func words(_ count: Int, near embeddings: [Float], _ parallel: Parallel, _ progress: Progress) throws -> [[Match]] {
    try vocabulary.nearest(
      count, to: embeddings, kernels: model.engine.kernels, parallel: parallel, progress: progress)
  }

  /// `filter`, if the target layer has it.
  func check(_ filter: Int, of maps: FeatureMaps) throws {
    guard (0..<maps.channels).contains(filter) else {
      throw Failure(
        .invalidArgument,
        "filter \(filter) is out of range; the layer has \(maps.channels) filters, 0 to \(maps.channels - 1)")
    }
  }
}
