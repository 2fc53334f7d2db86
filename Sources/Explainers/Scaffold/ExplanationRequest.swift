import Engine
public import Explanations
public import Graph
public import Models
public import Parallel
public import Tensors

/// What an explainer is asked for, checked against what it declares.
public struct ExplanationRequest {
  public let model: Model
  public let images: [ImageInput]
  /// For each image, the classes to explain; nil stands for the predicted one.
  public let classes: [[Int?]]
  /// Values of the method's parameters: `request.settings.number("rate")`.
  public let settings: Settings
  /// The values to tap; empty where the caller names none.
  public let layers: [ValueID]
  public let seed: UInt64
  /// Threads and batch size, for the runs of the method.
  public let call: Call
  public let progress: Progress
  /// nil where no output holds scores.
  public let scores: ScoreHead?

  public init(
    _ model: Model, _ images: [ImageInput], _ classes: [[Int?]], _ call: Call, _ progress: Progress,
    _ method: any Configurable
  ) throws {
    let owner = method is any Explainer ? "the method \(quoted(method.name))" : method.name
    settings = try Settings(method.parameters, call.parameters, draws: Set(call.draws.keys), of: owner)
    try call.refuse(layers: !method.tapsLayers, seed: !method.drawsNumbers, draws: method.draws, for: owner)
    layers = try call.layers.map { name in try locating("layer") { try model.tappedValue(named: name) } }
    seed = call.seed ?? 0
    guard classes.count == images.count else {
      throw Failure(.invalidArgument, "classes for \(classes.count) images, but there are \(images.count)")
    }
    scores = try call.output.map { try model.target($0) } ?? model.scores
    if let count = scores?.classCount {
      for index in classes.joined().compactMap(\.self) { try Self.check(index, count) }
    }
    self.model = model
    self.images = images
    self.classes = classes
    var call = call
    call.imageCount = images.count
    self.call = call
    self.progress = progress
  }

  /// The scores whose classes are explained. Throws, listing the outputs, where none or several could be.
  public func requiredScores() throws -> ScoreHead {
    let head = try scores ?? model.requiredScores()
    try head.refusePositions()
    return head
  }

  /// The classes of image `i`, the predicted one filled in; `row` is that of the image in `scores`.
  public func resolvedClasses(_ i: Int, _ scores: Scores, row: Int) throws -> [Int] {
    try classes[i].map { wanted in
      let index = wanted ?? scores.predicted(row)
      try Self.check(index, scores.classCount)
      return index
    }
  }

  private static func check(_ index: Int, _ count: Int) throws {
    guard index >= 0, index < count else {
      throw Failure(
        .invalidArgument, "class \(index) is out of range; the model has \(count) classes, 0 to \(count - 1)")
    }
  }

  /// Throws where explanations like this one, one for each wanted class, would take more than the memory limit, or than
  /// the system has. A caller's handle holds each grid once more.
  func checkMemory(ofAllLike explanation: Explanation) throws {
    let details = explanation.details.reduce(0) { $0 + $1.tensor.byteCount }
    let size = 2 * MemoryLayout<Float>.stride * explanation.grid.values.count + details
    let count = classes.reduce(0) { $0 + $1.count }
    let (all, overflow) = size.multipliedReportingOverflow(by: count)
    try model.engine.limit.check(overflow ? .max : all, for: "\(count) explanations")
    try requireMemory(all)
  }

  /// What the caller feeds under `name`, as `Call.draw`.
  public func draw(_ name: String, _ shape: [Int?]) throws -> Tensor? { try call.draw(name, shape) }
}
