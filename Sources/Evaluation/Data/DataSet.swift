import Documents
public import Models
import Tensors

/// Images, in their order, with what is true of them.
public struct DataSet: Sendable {
  /// One of `formats`; "memory" for samples that a caller gives one by one.
  public let format: String
  /// Where it lies, or how results call that; nil for those of a caller.
  public var path: String?
  public internal(set) var samples: [Sample]
  /// How classes were told: in words, for the results.
  public let classes: String

  init(format: String, path: String?, samples: [Sample], classes: String) {
    self.format = format
    self.path = path
    self.samples = samples
    self.classes = classes
  }

  static let memory = "memory"

  /// Samples that the caller adds.
  public init() { self.init(format: Self.memory, path: nil, samples: [], classes: "numbers") }

  public var hasBoxes: Bool { samples.contains { $0.boxes != nil } }
  public var hasMasks: Bool { samples.contains { $0.mask != nil } }
  /// Whether an image may be there for each of several classes.
  public var isOfObjects: Bool { ["coco", "voc"].contains(format) && !namesThings }
  /// Whether it says, in words, what is in the images.
  public var namesThings: Bool { samples.contains { $0.things != nil } }
  public var hasTruth: Bool { samples.contains { $0.truth != nil } }

  /// What is read of a data set, and of which part.
  public struct Options: Sendable {
    /// nil: told by what lies there.
    public var format: String?
    /// Where the images of lists and annotations lie; nil: where these do.
    public var images: String?
    /// A file with the classes' names in their order, one a line, as folders and annotations call them.
    public var classFile: String?
    /// "test", "train" or "all"; nil: of formats that have splits the test part, else all.
    public var split: String?
    /// Only samples of the first classes; 0: all.
    public var firstClasses = 0
    /// Only the first samples; 0: all.
    public var limit = 0
    /// So many samples drawn at random, in their order; 0: all.
    public var draw = 0
    /// Whether an image is one sample, with all that is named in it, rather than one for each of its classes.
    public var ofThings = false
    /// Of the draw.
    public var seed: UInt64 = 0

    public init() {}
  }

  /// Throws `invalidArgument` where the format cannot be told, or the files are not what it says; `notFound`, `io`.
  public init(_ path: String, _ options: Options, classes: ModelClasses) throws {
    let format = try options.format.map(Self.format) ?? Self.guess(path)
    if let split = options.split, !["test", "train", "all"].contains(split) {
      throw Failure(.invalidArgument, "the split is \(quoted(split)); it must be test, train or all")
    }
    for (isGiven, option, what) in [
      (options.split != nil, .split, "has no splits"),
      (options.images != nil, .images, "says itself where images lie: leave out their folder (images)"),
      (options.classFile != nil, .classFile, "has no names of classes: leave the file of them out (classes)"),
    ] as [(Bool, DataFormat.Option, String)] where isGiven && !format.reads.contains(option) {
      throw Failure(.invalidArgument, "a data set of format \(quoted(format.name)) \(what)")
    }
    let names = try options.classFile.map { try ClassNames(file: $0) }
    let request = DataRequest(path: path, options: options, classes: classes, names: names)
    self = try locating("the data set \(quoted(path))") { try format.read(request) }
    guard options.firstClasses == 0 || hasTruth || samples.isEmpty else {
      throw Failure(
        .invalidArgument,
        "the first classes are to be taken, but the data set \(quoted(path)) says of no image what is true")
    }
    if options.firstClasses > 0 { samples.removeAll { $0.truth.map { $0 >= options.firstClasses } ?? false } }
    guard !samples.isEmpty else { throw Failure(.invalidArgument, "the data set \(quoted(path)) has no images") }
    try checkClasses(classes)
    draw(options)
    if options.limit > 0 { samples = Array(samples.prefix(options.limit)) }
  }

  /// No true class may be one that the model does not have.
  private func checkClasses(_ classes: ModelClasses) throws {
    guard let count = classes.count, let bad = samples.first(where: { $0.truth.map { $0 < 0 || $0 >= count } ?? false })
    else { return }
    throw Failure(
      .invalidArgument,
      "\(quoted(bad.name)) is of class \(bad.truth ?? -1), but the model has \(count) classes, 0 to "
        + "\(count - 1); to leave out classes that it does not have, say how many to take (the first classes)")
  }

  private mutating func draw(_ options: Options) {
    guard options.draw > 0, options.draw < samples.count else { return }
    let keys = RandomDraws.keys(count: samples.count, seed: options.seed)
    let chosen = samples.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.prefix(options.draw).sorted()
    samples = chosen.map { samples[$0] }
  }
}

/// What the model says of its classes.
public struct ModelClasses: Sendable {
  /// nil where it is not known.
  public let count: Int?
  public let labels: [String]

  /// Of `model`, which must have scores where `isNeeded`.
  public init(_ model: Model, output: String?, isNeeded: Bool) throws {
    let head = isNeeded ? try model.requiredScores(output) : try? model.requiredScores(output)
    self.init(count: head?.classCount, labels: model.metadata.labels)
  }

  public init(count: Int?, labels: [String]) {
    self.count = count
    self.labels = labels
  }
}

/// What a reader of a format is asked for.
struct DataRequest {
  let path: String
  let options: DataSet.Options
  let classes: ModelClasses
  /// Those of the caller's file.
  var names: ClassNames?

  /// The folder of the images: the one that is given, else `other`.
  func images(else other: String) -> String { options.images ?? other }
}

/// A way in which data sets lie on a disk. To add one, write its file and list it in `DataSet.formats`.
struct DataFormat: Sendable {
  let name: String
  /// What it is, for people.
  let summary: String
  /// Those of its options that not every format has a use for; others are refused.
  let reads: Set<Option>
  /// Whether what lies at a path is, beyond doubt, of this format.
  let recognizes: @Sendable (String) -> Bool
  let read: @Sendable (DataRequest) throws -> DataSet

  /// Of `DataSet.Options`, by the names there.
  enum Option { case images, classFile, split }
}

extension DataSet {
  static let formats: [DataFormat] = [
    .classFolders, .imageFolder, .listFile, .idx, .cub, .ilsvrc, .voc, .coco, .context, .acrima,
  ]

  /// Names and summaries, for help.
  public static var formatSummaries: [(name: String, summary: String)] { formats.map { ($0.name, $0.summary) } }

  private static func format(named name: String) throws -> DataFormat {
    if let found = formats.first(where: { $0.name == name }) { return found }
    throw Failure(
      .notFound, "there is no data format \(quoted(name)); there are \(formats.map(\.name).joined(separator: ", "))")
  }

  /// The only format that recognizes what lies at `path`. What is plainly a folder of something is not one of images.
  private static func guess(_ path: String) throws -> DataFormat {
    guard isFolder(path) || isFile(path) else { throw Failure(.notFound, "there is no file or folder \(quoted(path))") }
    let isEmpty =
      isFolder(path)
      ? try DataFormat.visible(path).isEmpty : try Storage(path: path.systemName).withBytes(\.isEmpty)
    guard !isEmpty else { throw Failure(.invalidArgument, "the data set \(quoted(path)) is empty") }
    let recognized = formats.filter { $0.recognizes(path) }
    let special = recognized.filter { !["folders", "images"].contains($0.name) }
    let fitting = special.isEmpty ? recognized : special
    if fitting.count == 1 { return fitting[0] }
    let known = formats.map { "\($0.name) (\($0.summary))" }.joined(separator: "; ")
    throw Failure(
      .invalidArgument,
      "what lies at \(quoted(path)) "
        + (fitting.isEmpty
          ? "is of no format that is known by its look; name one (format): \(known)"
          : "could be \(fitting.map(\.name).joined(separator: " or ")); name one of these (format)"))
  }
}
