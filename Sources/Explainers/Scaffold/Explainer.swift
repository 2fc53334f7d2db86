public import Explanations
public import Models
public import Parallel
import Tensors

/// What a long call reads of its caller's settings. What it does not declare here is refused before it runs: it never
/// has to look for what it does not read.
public protocol Configurable: Sendable {
  /// What callers name it by: "scouter".
  var name: String { get }
  /// Tables that several methods share are joined with `+`.
  var parameters: [Parameter] { get }
  /// Draws and other arrays that callers may feed.
  var draws: [Draw] { get }
  /// Whether it looks at inner values that callers may name.
  var tapsLayers: Bool { get }
  /// Whether it draws random numbers, for which callers may give a seed.
  var drawsNumbers: Bool { get }
}

extension Configurable {
  public var draws: [Draw] { [] }
  public var tapsLayers: Bool { false }
  public var drawsNumbers: Bool { false }
}

/// An explanation method. To add one, write its file and list it in `Explainers.all`.
public protocol Explainer: Configurable {
  /// One sentence: what the maps show.
  var summary: String { get }
  /// Whether it reads what `Model.store` keeps of layers beside the model's file.
  var readsStatistics: Bool { get }
  /// Whether its explanations have words, in their `reading`.
  var findsWords: Bool { get }
  func canExplain(_ model: Model) -> Bool
  /// One explanation for each wanted class of each image, in the order of `request.classes`.
  func explain(_ request: ExplanationRequest) throws -> [Explanation]
}

extension Explainer {
  public var readsStatistics: Bool { false }
  public var findsWords: Bool { false }
}

extension Model {
  /// The methods that can explain this model, its own first.
  public var explainers: [any Explainer] { Explainers.all.filter { $0.canExplain(self) } }

  /// The method of this name, which may be a control, or the first one for nil.
  public func explainer(named name: String?) throws -> any Explainer {
    let usable = explainers
    let list = usable.map { quoted($0.name) }.joined(separator: ", ")
    guard let name else {
      guard let first = usable.first else { throw Failure(.notFound, "no method can explain this model") }
      return first
    }
    let known = usable + Explainers.controls.filter { $0.canExplain(self) }
    if let found = known.first(where: { $0.name == name }) { return found }
    if Explainers.all.contains(where: { $0.name == name }) {
      throw Failure(
        .unsupported,
        "the method \(quoted(name)) cannot explain this model of family \(quoted(metadata.family)); "
          + (list.isEmpty ? "no method can" : "these can: \(list)"))
    }
    throw Failure(
      .notFound,
      "there is no method \(quoted(name)); " + suggestion(for: name, among: usable.map(\.name))
        + (list.isEmpty ? "none can explain this model" : "for this model there are: \(list)"))
  }

  /// Explains `classes[i]` of image `i`; nil stands for the predicted class.
  public func explain(
    _ images: [ImageInput], classes: [[Int?]], method: String?, _ call: Call, _ progress: Progress
  ) throws -> [Explanation] {
    let method = try explainer(named: method)
    return try explain(images, classes: classes, method: method, call, progress)
  }

  /// The same with a method that need not be in the list.
  public func explain(
    _ images: [ImageInput], classes: [[Int?]], method: any Explainer, _ call: Call, _ progress: Progress
  ) throws -> [Explanation] {
    let request = try ExplanationRequest(self, images, classes, call, progress, method)
    return try method.explain(request).map { explanation in
      var explanation = explanation
      explanation.method = method.name
      explanation.parameters = request.settings.values
      explanation.seed = method.drawsNumbers ? request.seed : nil
      return explanation
    }
  }
}
