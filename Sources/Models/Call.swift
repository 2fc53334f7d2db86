public import Explanations
public import Tensors

/// What a caller sets for one call, beside its progress, which is always handed on by itself.
public struct Call {
  /// Values of the method's parameters that differ from their defaults.
  public var parameters: [String: ParameterValue] = [:]
  /// Random draws and other numbers that a method reads, by the names that it documents.
  public var draws: [String: Tensor] = [:]
  /// The values that the method taps; none: the model's first choice.
  public var layers: [String] = []
  /// Of the method's random numbers; nil: 0.
  public var seed: UInt64?
  /// 0: as the model was loaded.
  public var threads = 0
  /// Inputs that run at once; 0: `defaultBatchSize`.
  public var batchSize = 0

  public static let defaultBatchSize = 8

  public init() {}

  /// Throws where the caller sets what only explanation methods read, for a call that is none. `owner` is how messages
  /// call it: "classifying".
  public func refuseMethodSettings(for owner: String) throws {
    _ = try Settings([], parameters, of: owner)
    try refuse(layers: true, seed: true, draws: [], for: owner)
  }

  /// Throws `invalidArgument` for layers and a seed that `owner` does not read, `notFound` for draws that it does not.
  public func refuse(
    layers refusesLayers: Bool, seed refusesSeed: Bool, draws known: [Draw], for owner: String
  ) throws {
    if refusesLayers, let layer = layers.first {
      throw Failure(.invalidArgument, "\(owner) taps no layer, but \(quoted(layer)) was given; leave it out")
    }
    if refusesSeed, let seed {
      throw Failure(.invalidArgument, "\(owner) draws no random numbers, but the seed \(seed) was given; leave it out")
    }
    for name in draws.keys.sorted() where !known.contains(where: { $0.name == name }) {
      let names = known.map(\.name).joined(separator: ", ")
      throw Failure(
        .notFound,
        "\(owner) reads no draws \(quoted(name)); " + (names.isEmpty ? "it reads none" : "it reads \(names)"))
    }
  }
}
