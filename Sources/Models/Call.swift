public import Explanations
public import Tensors

/// What a caller sets for one call, beside its progress, which is always handed on by itself.
public struct Call: Sendable {
  /// Values of the method's parameters that differ from their defaults.
  public var parameters: [String: ParameterValue] = [:]
  /// Random draws and other numbers that a method reads, by the names that it documents.
  public var draws: [String: Tensor] = [:]
  /// The values that the method taps; none: the model's first choice.
  public var layers: [String] = []
  /// Of the method's random numbers; nil: 0.
  public var seed: UInt64?
  /// The output that holds the scores; nil: the one that is found.
  public var output: String?
  /// Inputs of the model beside the image, by name: [1, …], the same for all images, or a row for each image.
  public var feeds: [String: Tensor] = [:]
  /// How many images the call is about, so that `feeds` with rows for others are refused; nil: not known.
  public var imageCount: Int?
  /// 0: as the model was loaded.
  public var threads = 0
  /// Inputs that run at once; 0: `defaultBatchSize`.
  public var batchSize = 0

  public static let defaultBatchSize = 8

  public init() {}

  /// The same call for image `i` of `count` alone: with its rows of the further inputs.
  public func forImage(_ i: Int, of count: Int) throws -> Call {
    var call = self
    call.imageCount = 1
    for (name, tensor) in feeds where count > 1 && tensor.shape.rank > 0 && tensor.shape[0] == count {
      call.feeds[name] = try tensor.slice(i)
    }
    return call
  }

  /// What classifying reads of it.
  public var forScores: Call {
    var call = Call()
    (call.output, call.feeds) = (output, feeds)
    return call
  }

  /// Throws where the caller names an output of scores, or feeds further inputs, for a call that reads neither.
  func refuseImageSettings(for owner: String) throws {
    if let output {
      throw Failure(
        .invalidArgument, "\(owner) reads no scores, but the output \(quoted(output)) was given; leave it out")
    }
    if let name = feeds.keys.min() {
      throw Failure(.invalidArgument, "\(quoted(name)) belongs with the other feeds: \(owner) needs them all by name")
    }
  }

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

  /// What the caller feeds under `name`, as float32; nil where it feeds nothing. `shape` has nil where any extent will
  /// do. Throws `invalidArgument` for another shape.
  public func draw(_ name: String, _ shape: [Int?]) throws -> Tensor? {
    guard let tensor = draws[name] else { return nil }
    let fits =
      tensor.shape.rank == shape.count
      && zip(tensor.shape.dimensions, shape).allSatisfy { actual, wanted in wanted.map { $0 == actual } ?? true }
    guard fits else {
      let wanted = shape.map { $0.map(String.init) ?? "?" }.joined(separator: "×")
      throw Failure(.invalidArgument, "the draws \(quoted(name)) are of shape \(tensor.shape), not [\(wanted)]")
    }
    return try locating("draws \(quoted(name))") { try tensor.floats() }
  }
}
