import Documents
public import Engine
public import Graph
import Images
public import Kernels
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
    /// A bound on the error of logits.
    public var precision = Precision.float32
    /// How images are prepared, in place of what the file says.
    public var preprocessing: Preprocessing?
    /// Whether files are read into memory, rather than mapped.
    public var copiesFiles = false
    /// External data behind a symbolic link in the model's folder is refused, not followed.
    public var refusesLinks = false
    public init() {}
  }

  /// Runs from images: its image input is float32 [N, C, H, W], whatever the file's is.
  public let engine: Engine
  /// Runs the graph as the file has it.
  let plainEngine: Engine
  public let metadata: Metadata
  public let parallel: Parallel
  /// The input that an image goes to, as the file declares it.
  public let format: InputFormat?
  /// The value that images are fed to, [N, C, H, W].
  public let input: Declaration?
  /// The output that holds a score for each class, and what kind of score; or why there is none.
  public let foundScores: Result<ScoreHead, Failure>
  /// The same for each output as the one that a caller chooses.
  private let chosenScores: [(name: String, found: Result<ScoreHead, Failure>)]
  /// What is fixed of [channels, height, width] at the image input.
  public let inputSize: (channels: Int?, height: Int?, width: Int?)
  /// nil where it depends on what is fed.
  public let classCount: Int?
  /// Set once the graph turned out to work for one image at a time only, whatever it declares.
  let takesOneImage = Atomic<Bool>(false)
  let backwardPasses = Recent<BackwardPass.Key, TwoPartRun>()
  let rowSelections = Recent<RowSelection.Key, TwoPartRun>()
  let analyses = Recent<Analysis.Key, Analysis>(capacity: 4)
  let knownDigest = Guarded<String?>(nil)
  /// Those of layers, as they were read last.
  package let knownStatistics = Guarded<KeptTensors?>(nil)
  /// The file that it was loaded from, as `String(name:)`; nil where it came from memory.
  public let path: String?

  public var graph: Graph { engine.graph }
  public var kernels: Kernels { engine.kernels }
  /// The graph as the file has it; its values have the same ids.
  public var fileGraph: Graph { plainEngine.graph }

  /// Loads an ONNX file. Throws where it cannot be read, is no ONNX model, or needs what Limpid does not have.
  /// `progress` is asked meanwhile whether to go on.
  public convenience init(path: UnsafePointer<CChar>, options: Options, _ progress: Progress) throws {
    let graph = try ONNXLoader.load(
      path: path, copying: options.copiesFiles, refusingLinks: options.refusesLinks, progress)
    try self.init(graph: graph, path: String(name: path), options: options, progress)
  }

  /// Loads an ONNX model from memory, which is copied.
  public convenience init(bytes: UnsafeRawBufferPointer, options: Options, _ progress: Progress) throws {
    try self.init(graph: ONNXLoader.load(bytes: bytes, owner: nil, progress), options: options, progress)
  }

  package init(graph: Graph, path: String? = nil, options: Options, _ progress: Progress) throws {
    self.path = path
    parallel = options.threads > 0 ? Parallel(threads: min(options.threads, 1024)) : .available
    plainEngine = Engine(
      graph, kernels: try .selected().within(options.precision), limit: MemoryLimit(bytes: options.memoryLimit))
    metadata = try Metadata(graph.metadata, preprocessing: options.preprocessing)
    try plainEngine.checkOperators()
    let format = try InputFormat.find(graph, metadata)
    let wrapped = try format?.wrapping(graph)
    self.format = format
    engine = wrapped.map { [plainEngine] in plainEngine.extended(to: $0.graph) } ?? plainEngine
    input = wrapped?.planes ?? format?.declaration
    inputSize = Self.inputSize(format, metadata)
    try format?.checkLevels(metadata.preprocessing)
    let traced = try Self.traced(engine, input, format, inputSize, progress)
    // What makes probabilities of scores does not depend on the size of the image.
    let usual = (channels: inputSize.channels ?? 3, height: inputSize.height ?? 224, width: inputSize.width ?? 224)
    let tail = try traced ?? Self.traced(engine, input, format, usual, isSure: false, progress)
    let heads = ScoreHeads(engine.graph, metadata, traced, tail: tail, format)
    foundScores = Result { try heads.find() }.mapError { $0 as? Failure ?? Failure(.internal, "\($0)") }
    chosenScores = graph.outputs.map { output in
      (
        graph.name(of: output.value),
        Result { try heads.find(output) }.mapError { $0 as? Failure ?? Failure(.internal, "\($0)") }
      )
    }
    classCount = try? foundScores.get().classCount
    if let head = try? foundScores.get(), let classCount, !metadata.labels.isEmpty, metadata.labels.count != classCount,
      head.kind != .values
    {
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

  /// The scores, or where several outputs could hold them the first that a caller could choose.
  public var possibleScores: ScoreHead? {
    scores ?? chosenScores.lazy.compactMap { try? $0.found.get() }.first { $0.positions == 1 }
  }

  /// The score output: the one named `output`, else the one that is found. Throws, listing the outputs, where none or
  /// several could be.
  public func requiredScores(_ output: String? = nil) throws -> ScoreHead {
    let head = try target(output)
    try head.refusePositions()
    return head
  }

  /// The same for explanations, which may also be of a class over the positions of an output with an extent in space.
  public func target(_ output: String?) throws -> ScoreHead {
    guard let output else { return try foundScores.get() }
    if let chosen = chosenScores.first(where: { $0.name == output }) { return try chosen.found.get() }
    let names = chosenScores.map { quoted($0.name) }.joined(separator: ", ")
    throw Failure(.notFound, "the model has no output \(quoted(output)); its outputs are \(names)")
  }

  private static func inputSize(
    _ format: InputFormat?, _ metadata: Metadata
  ) -> (channels: Int?, height: Int?, width: Int?) {
    let prepared = metadata.preprocessing?.fixedOutputSize
    return (
      format?.channels ?? metadata.preprocessing?.channels, format?.height ?? prepared?.height,
      format?.width ?? prepared?.width
    )
  }

  /// The graph with the shapes for one image, which also shows early what the model needs that Limpid lacks; nil where
  /// the image's size, or the shape of another input, is open. On this thread alone: loading starts no others.
  private static func traced(
    _ engine: Engine, _ input: Declaration?, _ format: InputFormat?,
    _ size: (channels: Int?, height: Int?, width: Int?), isSure: Bool = true, _ progress: Progress
  ) throws -> Emitter? {
    guard let input, let format, let channels = size.channels, let height = size.height, let width = size.width else {
      return nil
    }
    let rows = format.batch ?? 1
    let shape = try Shape(checking: [rows, channels, height, width])
    guard let others = engine.graph.feeds(besides: input.value, rows: rows) else { return nil }
    let feeds = [(input.value, input.type, shape)] + others
    let fetches = engine.graph.outputs.map(\.value)
    do {
      return try engine.trace(feeds: feeds, fetches: fetches, parallel: .serial, progress: progress)
    } catch let failure as Failure where !(others.isEmpty && isSure) && failure.kind != .cancelled {
      // What the other inputs hold may decide.
      return nil
    }
  }
}

extension Graph {
  /// The inputs other than `image` with the shapes that they declare, an open first extent being `rows`; nil where more
  /// is open.
  func feeds(besides image: ValueID, rows: Int) -> [(value: ValueID, type: ElementType, shape: Shape)]? {
    var feeds: [(value: ValueID, type: ElementType, shape: Shape)] = []
    for input in inputs where input.value != image {
      let extents = input.dimensions?.enumerated().map { i, dimension -> Int? in
        if case .fixed(let extent) = dimension { extent } else { i == 0 ? rows : nil }
      }
      guard let extents, !extents.contains(nil), let shape = try? Shape(checking: extents.compactMap(\.self)) else {
        return nil
      }
      feeds.append((input.value, input.type, shape))
    }
    return feeds
  }
}
