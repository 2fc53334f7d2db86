public import Engine
public import Graph
import Kernels
import ONNX
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
  /// The output that holds a score for each class, and what kind of score.
  public let scores: (value: ValueID, role: Metadata.Role)?
  /// What is fixed of [channels, height, width] at the image input.
  public let inputSize: (channels: Int?, height: Int?, width: Int?)
  /// nil where it depends on what is fed.
  public let classCount: Int?
  /// Set once the graph turned out to work for one image at a time only, whatever it declares.
  let takesOneImage = Atomic<Bool>(false)
  let backwardPasses = BackwardPasses()

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
    scores = Self.scores(of: graph, metadata)
    inputSize = try Self.inputSize(input, metadata)
    classCount = try Self.classCount(engine, input, inputSize, scores?.value, parallel)
    if let classCount, !metadata.labels.isEmpty, metadata.labels.count != classCount {
      throw Failure(
        .invalidModel,
        "metadata limpid.labels has \(metadata.labels.count) labels, but the model scores \(classCount) classes")
    }
  }

  /// A value of the model, by name; an error that names near ones where there is none.
  public func value(named name: String) throws -> ValueID {
    if let value = graph.value(named: name) { return value }
    let outputs = graph.outputs.map { "\"\(graph.name(of: $0.value))\"" }.joined(separator: ", ")
    throw Failure(.notFound, "the model has no value named \"\(name)\"; its outputs are \(outputs)")
  }

  /// The output that the file marks as scores, else the first one; its kind from the file, else from its last operator.
  private static func scores(of graph: Graph, _ metadata: Metadata) -> (ValueID, Metadata.Role)? {
    for output in graph.outputs {
      let role = metadata.role(of: graph.name(of: output.value))
      if let role, role.isScore { return (output.value, role) }
    }
    // An output that the file says is something else is no score.
    guard let first = graph.outputs.first?.value, metadata.role(of: graph.name(of: first)) == nil else { return nil }
    let producer = graph.producers()[first].map { graph.nodes[$0].operation }
    switch producer {
    case "Softmax": return (first, .probabilities)
    case "LogSoftmax": return (first, .logProbabilities)
    default: return (first, .logits)
    }
  }

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

  /// Plans the scores of one image, which also shows early what the model needs that Limpid lacks.
  private static func classCount(
    _ engine: Engine, _ input: Declaration?, _ size: (channels: Int?, height: Int?, width: Int?), _ scores: ValueID?,
    _ parallel: Parallel
  ) throws -> Int? {
    try engine.checkOperators()
    guard let input, let scores, engine.graph.inputs.count == 1, let channels = size.channels,
      let height = size.height, let width = size.width
    else { return nil }
    var batch = 1
    if case .fixed(let extent)? = input.dimensions?.first { batch = extent }
    let plan = try engine.plan(
      feeds: [(input.value, input.type, Shape(checking: [batch, channels, height, width]))], fetches: [scores],
      parallel: parallel)
    let shape = plan.fetchedShapes[0]
    guard shape.rank >= 2, shape[0] == batch, batch > 0 else { return nil }
    return shape.count / batch
  }
}
