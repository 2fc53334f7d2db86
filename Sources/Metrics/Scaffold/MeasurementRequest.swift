import Explainers
public import Explanations
public import Models
public import Parallel
public import Tensors

/// How a metric that explains changed images itself does that.
public struct MethodCall {
  /// nil: the model's first.
  public var method: String?
  public var call: Call

  public init(method: String?, call: Call) {
    self.method = method
    self.call = call
  }
}

/// What a metric is asked for, checked against what it declares.
public struct MeasurementRequest {
  private let optionalModel: Model?
  public let images: [ImageInput]
  /// What is measured: maps for most metrics, scores for some.
  private let optionalMaps: Tensor?
  /// One for each map; nil stands for the predicted one.
  public let classes: [Int?]
  /// Which maps hold NaN or infinity. They say nothing, and order, sum or product of what else they hold would be a
  /// number that looks like another map's: whatever reads maps has no value for these.
  let isLeftOut: [Bool]
  public let settings: Settings
  public let seed: UInt64
  public let call: Call
  public let method: MethodCall?
  public let progress: Progress
  private let metric: any Metric

  /// `classes`: one for each map; empty: the predicted ones. Each image has as many maps as another.
  public init(
    _ metric: any Metric, model: Model?, images: [ImageInput], maps: Tensor?, classes: [Int?], method: MethodCall?,
    _ call: Call, _ progress: Progress
  ) throws {
    let owner = "the metric \(quoted(metric.name))"
    settings = try metric.settings(of: call.parameters)
    try call.refuse(layers: true, seed: !metric.drawsNumbers, draws: metric.draws, for: owner)
    guard !metric.needsModel || model != nil else {
      throw Failure(.invalidArgument, "\(owner) needs a model, and the images that it is to see")
    }
    guard metric.needsMethod || method == nil else {
      throw Failure(.invalidArgument, "\(owner) explains nothing itself, but a method was given; leave it out")
    }
    guard !metric.needsMethod || method != nil else {
      throw Failure(.invalidArgument, "\(owner) explains changed images itself; say how (`explain`: a method)")
    }
    guard metric.reads != .scores || maps == nil || model == nil || images.isEmpty else {
      throw Failure(
        .invalidArgument, "\(owner) reads the model's scores, or those that are given in place of maps, not both")
    }
    optionalModel = model
    self.images = images
    optionalMaps = maps
    self.call = call
    self.method = method
    self.progress = progress
    self.metric = metric
    seed = call.seed ?? 0
    let isEach = metric.reads == .none || metric.reads == .scores
    let count = try Self.count(maps, images.count, classes.count, isEach)
    guard classes.isEmpty || classes.count == count else {
      throw Failure(.invalidArgument, "there are \(classes.count) classes for \(count) maps; give one for each")
    }
    self.classes = classes.isEmpty ? Array(repeating: nil, count: count) : classes
    let readsMaps = !isEach && !metric.needsMethod
    isLeftOut = try readsMaps ? maps.map { try Maps($0).areFinite.map(!) } ?? [] : []
    let known = try call.output.flatMap { try model?.requiredScores($0) } ?? model?.scores
    for index in classes.compactMap(\.self) { try checkClass(index, known?.classCount) }
  }

  /// How many maps are measured: every image has equally many.
  private static func count(_ maps: Tensor?, _ images: Int, _ classes: Int, _ isEach: Bool) throws -> Int {
    var count = max(images, classes)
    if let maps { count = maps.shape.rank == 2 && !isEach ? 1 : maps.shape.dimensions.first ?? 0 }
    guard count > 0, images == 0 || count % images == 0 else {
      throw Failure(.invalidArgument, "there are \(count) maps for \(images) images; give equally many for each")
    }
    return count
  }

  /// Of maps, or of images where none are read.
  public var count: Int { classes.count }
  /// The image that map `index` is of.
  public func image(of index: Int) -> Int { images.isEmpty ? 0 : index / (count / images.count) }

  public func model() throws -> Model {
    guard let optionalModel, !images.isEmpty else {
      throw Failure(.invalidArgument, "the metric \(quoted(metric.name)) needs a model and images")
    }
    return optionalModel
  }

  var hasModel: Bool { optionalModel != nil && !images.isEmpty }

  var hasMaps: Bool { optionalMaps != nil }

  public func maps() throws -> Maps {
    guard let optionalMaps else {
      throw Failure(.invalidArgument, "the metric \(quoted(metric.name)) needs maps, one for each image")
    }
    return try Maps(optionalMaps)
  }

  /// [images, classes] numbers that the caller gives in place of maps.
  func givenScores() throws -> (values: [Float], classes: Int) {
    guard let optionalMaps, optionalMaps.shape.rank == 2, optionalMaps.shape[1] > 0 else {
      throw Failure(
        .invalidArgument, "the metric \(quoted(metric.name)) reads scores [images, classes], or a model and its images")
    }
    return (try optionalMaps.floats().array(of: Float.self), optionalMaps.shape[1])
  }

  func checkClass(_ index: Int, _ count: Int?) throws {
    guard index >= 0, index < count ?? Int.max else {
      throw Failure(
        .invalidArgument,
        "class \(index) is out of range" + (count.map { "; there are \($0) classes, 0 to \($0 - 1)" } ?? ""))
    }
  }

  /// What 0 and 255 stand for in the maps, where the caller says so.
  func range(of index: Int, _ ranges: [Float]?) -> (low: Float, high: Float)? {
    ranges.map { ($0[2 * index], $0[2 * index + 1]) }
  }

  func ranges() throws -> [Float]? { try call.draw("range", [count, 2])?.array(of: Float.self) }

  static let rangeDraw = Draw(
    "range", "float32 [maps, 2]: what 0 and 255 stand for where maps become bytes (SCOUTER's: over all classes).")
}

extension Model {
  /// Measures explanations, one number for each map.
  public func measure(
    _ metric: any Metric, _ images: [ImageInput], maps: Tensor?, classes: [Int?], method: MethodCall? = nil,
    _ call: Call, _ progress: Progress
  ) throws -> Measurement {
    try Metrics.measure(metric, model: self, images, maps: maps, classes: classes, method: method, call, progress)
  }
}

extension Metrics {
  /// The same where a metric needs no model.
  public static func measure(
    _ metric: any Metric, model: Model? = nil, _ images: [ImageInput] = [], maps: Tensor?, classes: [Int?],
    method: MethodCall? = nil, _ call: Call, _ progress: Progress
  ) throws -> Measurement {
    let request = try MeasurementRequest(
      metric, model: model, images: images, maps: maps, classes: classes, method: method, call, progress)
    var measurement = try metric.measure(request)
    try measurement.leaveOut(request.isLeftOut) {
      try metric.mean(of: $0, classes: request.classes, request.settings, batchSize: call.batchSize)
    }
    measurement.metric = metric.name
    measurement.parameters = request.settings.values.map { ($0.name, measurement.chosen[$0.name] ?? $0.value) }
    measurement.seed = metric.drawsNumbers ? request.seed : nil
    return measurement
  }
}
