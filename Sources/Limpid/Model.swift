import Explainers
import Explanations
import Images
import Kernels
import Models
import Parallel
import Tensors

/// A bound on the relative error of logits: float32 within 1e-5, fast within 1e-4, bfloat16 within 2e-2.
public enum Precision: String, Sendable, CaseIterable {
  case float32, fast, bfloat16
}

/// An ONNX classifier: what an image shows, and why. It never changes after loading; any number of threads may use it
/// at once. Everything that can fail throws `LimpidError`.
public final class Model: Sendable {
  private let model: Models.Model

  /// `preprocess` says how images are prepared, in place of what the file says: "imagenet", "imagenet-exact", or steps
  /// of docs/model-format.md with semicolons between them. `threads` 0: one per core; `memoryLimit` in bytes for one
  /// call, 0: the machine's memory. `precision` is a bound on the error of logits; the processor may have nothing
  /// faster within it than float32.
  public convenience init(
    path: String, preprocess: String? = nil, threads: Int = 0, memoryLimit: UInt64 = 0, precision: Precision = .float32
  ) throws {
    try self.init(preprocess, threads, memoryLimit, precision) { options in
      try path.withCString { try Models.Model(path: $0, options: options, .unwatched) }
    }
  }

  /// The bytes of a file, which has its weights inside.
  public convenience init(
    bytes: some Sequence<UInt8>, preprocess: String? = nil, threads: Int = 0, memoryLimit: UInt64 = 0,
    precision: Precision = .float32
  ) throws {
    let bytes = Array(bytes)
    try self.init(preprocess, threads, memoryLimit, precision) { options in
      try bytes.withUnsafeBytes { try Models.Model(bytes: $0, options: options, .unwatched) }
    }
  }

  private init(
    _ preprocess: String?, _ threads: Int, _ memoryLimit: UInt64, _ precision: Precision,
    _ load: (Models.Model.Options) throws -> Models.Model
  ) throws {
    model = try translated {
      var options = Models.Model.Options()
      options.threads = max(0, threads)
      options.memoryLimit = memoryLimit
      switch precision {
      case .float32: options.precision = .float32
      case .fast: options.precision = .fast
      case .bfloat16: options.precision = .bfloat16
      }
      options.preprocessing = try preprocess.map { try Preprocessing(given: $0) }
      return try load(options)
    }
  }

  /// What the processor makes of the precision that was asked for.
  public var computedPrecision: Precision {
    Precision(rawValue: model.kernels.computedPrecision.rawValue) ?? .float32
  }
  /// The names of the classes, by index; empty where the file has none.
  public var labels: [String] { model.metadata.labels }
  /// nil where it depends on what is fed.
  public var classCount: Int? { model.classCount }
  /// The methods that can explain this model, the one that is taken by default first.
  public var methods: [String] { model.explainers.map(\.name) }

  /// The probabilities of each image's classes; of a regression its values.
  public func classify(_ images: [Image], progress: ((Double) -> Bool)? = nil) throws -> [[Float]] {
    try translated {
      let values = try withInputs(images) { try model.classify($0, Call(), Progress(progress)) }
      let count = images.isEmpty ? 0 : values.count / images.count
      return images.indices.map { Array(values[$0 * count..<($0 + 1) * count]) }
    }
  }

  public func classify(_ image: Image) throws -> [Float] { try classify([image])[0] }

  /// Why `image` is of these classes; one explanation for each. `method` nil: the model's own, else Grad-CAM.
  /// `progress` is told the part that is done, and answers whether to go on.
  public func explain(
    _ image: Image, _ method: String? = nil, classes: [ClassChoice] = [.predicted], layers: [String] = [],
    parameters: [String: Setting] = [:], seed: UInt64? = nil, progress: ((Double) -> Bool)? = nil
  ) throws -> [Explanation] {
    try translated {
      let call = call(layers, parameters, seed)
      let found = try withInputs([image]) { inputs in
        try model.explain(
          inputs, classes: [classes.map { try index($0) }], method: method, call, Progress(progress))
      }
      return found.map { explanation in
        Explanation(
          explanation, label: labels.indices.contains(explanation.classIndex) ? labels[explanation.classIndex] : nil)
      }
    }
  }

  /// The gradients of the logits of these classes by `layer`: a value's name, a module's, or "input". One for each
  /// class, with the shape of the value without its axis of images.
  public func gradient(
    _ image: Image, classes: [ClassChoice] = [.predicted], at layer: String = "input",
    parameters: [String: Setting] = [:], progress: ((Double) -> Bool)? = nil
  ) throws -> [Gradient] {
    try translated {
      let call = call([], parameters, nil)
      let tensor = try withInputs([image]) { inputs in
        try model.gradient(inputs, classes: [classes.map { try index($0) }], at: [layer], call, Progress(progress))[0]
      }
      let shape = Array(tensor.shape.dimensions.dropFirst())
      let values = try tensor.computed().array(of: Float.self)
      let size = values.count / max(1, classes.count)
      return classes.indices.map { Gradient(shape: shape, values: Array(values[$0 * size..<($0 + 1) * size])) }
    }
  }

  private func call(_ layers: [String], _ parameters: [String: Setting], _ seed: UInt64?) -> Call {
    var call = Call()
    call.layers = layers
    call.parameters = parameters.mapValues(\.value)
    call.seed = seed
    return call
  }

  private func index(_ choice: ClassChoice) throws -> Int? {
    switch choice {
    case .predicted: return nil
    case .index(let index): return index
    case .label(let label):
      guard let index = try model.classIndex(labelled: label) else {
        throw Failure(.notFound, "there is no class \(quoted(label)); \(suggestion(for: label, among: labels))")
      }
      return index
    }
  }

  private func withInputs<R>(_ images: [Image], _ body: ([ImageInput]) throws -> R) throws -> R {
    func collect(_ rest: ArraySlice<Image>, _ inputs: [ImageInput]) throws -> R {
      guard let first = rest.first else { return try body(inputs) }
      return try first.image.withView { try collect(rest.dropFirst(), inputs + [.pixels($0)]) }
    }
    return try collect(images[...], [])
  }
}

/// Which class is explained: `.predicted`, 3, "space shuttle".
public enum ClassChoice: Sendable, Hashable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  case predicted
  case index(Int)
  case label(String)

  public init(integerLiteral value: Int) { self = .index(value) }
  public init(stringLiteral value: String) { self = .label(value) }
}

/// A gradient by one value of the network, in ONNX order: the last axis runs fastest.
public struct Gradient: Sendable {
  public let shape: [Int]
  public let values: [Float]
}
