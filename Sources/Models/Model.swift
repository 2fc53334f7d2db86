public import Engine
public import Graph
import Kernels
import ONNX
import Operators
public import Parallel
import Synchronization
import Tensors

/// A loaded model: the graph, how images become its input, what its outputs mean. Never changes.
public final class Model: Sendable {
  public struct Options: Sendable {
    /// Bytes that one call may use; 0: the machine's memory.
    public var memoryLimit: UInt64 = 0
    /// 0: one per core that this process may use.
    public var threads = 0
    public init() {}
  }

  public let engine: Engine
  public let metadata: Metadata
  public let parallel: Parallel
  /// The input that images are fed to.
  public let input: Declaration?
  /// The output that holds a score for each class, and what kind of score; or why there is none.
  let foundScores: Result<ScoreHead, Failure>
  /// What is fixed of [channels, height, width] at the image input.
  public let inputSize: (channels: Int?, height: Int?, width: Int?)
  /// nil where it depends on what is fed.
  public let classCount: Int?
  /// Set once the graph turned out to work for one image at a time only, whatever it declares.
  let takesOneImage = Atomic<Bool>(false)
  let backwardPasses = BackwardPasses()
  let analyses = Analyses()

  public var graph: Graph { engine.graph }

  /// Loads an ONNX file. Throws where it cannot be read, is no ONNX model, or needs what Limpid does not have.
  public convenience init(path: UnsafePointer<CChar>, options: Options = Options()) throws {
    try self.init(graph: ONNXLoader.load(path: path), options: options)
  }

  /// Loads an ONNX model from memory, which is copied.
  public convenience init(bytes: UnsafeRawBufferPointer, options: Options = Options()) throws {
    try self.init(graph: ONNXLoader.load(bytes: bytes, owner: nil), options: options)
  }

  package init(graph: Graph, options: Options) throws {
    parallel = options.threads > 0 ? Parallel(threads: min(options.threads, 1024)) : .available
    engine = Engine(graph, kernels: try .selected(), limit: MemoryLimit(bytes: options.memoryLimit))
    metadata = try Metadata(graph.metadata)
    input = graph.inputs.first { $0.type.computed == .float32 && $0.dimensions?.count ?? 4 == 4 }
    inputSize = try Self.inputSize(input, metadata)
    try engine.checkOperators()
    let traced = try Self.traced(engine, input, inputSize, parallel)
    foundScores = Result { [metadata] in
      try ScoreHead.find(
        traced?.graph ?? graph, metadata, named: nil, shape: { traced?.operands[$0]?.shape },
        constants: { traced?.operands[$0]?.constant ?? graph.constants[$0] })
    }.mapError { $0 as? Failure ?? Failure(.internal, "\($0)") }
    classCount = try? foundScores.get().classCount
    if let classCount, !metadata.labels.isEmpty, metadata.labels.count != classCount {
      throw Failure(
        .invalidModel,
        "metadata limpid.labels has \(metadata.labels.count) labels, but the model scores \(classCount) classes")
    }
  }

  /// A value of the model, by name; an error that names near ones where there is none.
  public func value(named name: String) throws -> ValueID {
    if let value = graph.value(named: name) { return value }
    let outputs = graph.outputs.map { quoted(graph.name(of: $0.value)) }.joined(separator: ", ")
    throw Failure(.notFound, "the model has no value named \(quoted(name)); its outputs are \(outputs)")
  }

  /// nil where no output holds scores.
  public var scores: ScoreHead? { try? foundScores.get() }

  /// The score output. Throws, listing the outputs, where none or several could be.
  public func requiredScores() throws -> ScoreHead { try foundScores.get() }

  private static func inputSize(
    _ input: Declaration?, _ metadata: Metadata
  ) throws -> (channels: Int?, height: Int?, width: Int?) {
    let declared = input?.dimensions?.map { dimension -> Int? in
      if case .fixed(let extent) = dimension { extent } else { nil }
    }
    let prepared = metadata.preprocessing?.fixedOutputSize
    guard let declared, declared.count == 4 else { return (prepared?.channels, prepared?.height, prepared?.width) }
    return (declared[1] ?? prepared?.channels, declared[2] ?? prepared?.height, declared[3] ?? prepared?.width)
  }

  /// The graph with the shapes for one image, which also shows early what the model needs that Limpid lacks; nil where the
  /// image's size is open.
  private static func traced(
    _ engine: Engine, _ input: Declaration?, _ size: (channels: Int?, height: Int?, width: Int?), _ parallel: Parallel
  ) throws -> Emitter? {
    guard let input, engine.graph.inputs.count == 1, let channels = size.channels, let height = size.height,
      let width = size.width
    else { return nil }
    var batch = 1
    if case .fixed(let extent)? = input.dimensions?.first { batch = extent }
    return try engine.trace(
      feeds: [(input.value, input.type, Shape(checking: [batch, channels, height, width]))],
      fetches: engine.graph.outputs.map(\.value), parallel: parallel)
  }
}
