public import Models
import Tensors

/// An explanation method. To add one, write its file and list it in `Explainers.all`.
public protocol Explainer: Sendable {
  /// What callers name it by: "scouter".
  var name: String { get }
  /// One sentence: what the maps show.
  var summary: String { get }
  var parameters: [Parameter] { get }
  func canExplain(_ model: Model) -> Bool
  /// One explanation for each wanted class of each picture, in the order of `task.classes`.
  func explain(_ task: Task) throws -> [Explanation]
}

/// What an explainer is asked for.
public struct Task {
  public let model: Model
  public let pictures: [Picture]
  /// For each picture, the classes to explain; nil stands for the predicted one.
  public let classes: [[Int?]]
  public let call: Call
  private let values: [String: Double]

  /// Value of the method's parameter `name`, which is in its table.
  public func value(_ name: String) -> Double { values[name]! }
  public func integer(_ name: String) -> Int { Int(value(name)) }
  public func flag(_ name: String) -> Bool { value(name) != 0 }

  init(_ model: Model, _ pictures: [Picture], _ classes: [[Int?]], _ call: Call, _ method: any Explainer) throws {
    self.model = model
    self.pictures = pictures
    self.classes = classes
    self.call = call
    values = try method.parameters.values(call.parameters, of: "the method \"\(method.name)\"")
  }

  /// The classes of picture `i`, the predicted one filled in.
  public func resolvedClasses(_ i: Int, _ scores: Scores, row: Int) throws -> [Int] {
    try classes[i].map { wanted in
      let index = wanted ?? scores.predicted(row)
      guard index >= 0, index < scores.classCount else {
        throw Failure(
          .invalidArgument, "class \(index) is out of range; the model has \(scores.classCount) classes, 0 to "
            + "\(scores.classCount - 1)")
      }
      return index
    }
  }
}

extension Model {
  /// The methods that can explain this model, its own first.
  public var explainers: [any Explainer] { Explainers.all.filter { $0.canExplain(self) } }

  /// The method of this name, or the first one for nil.
  public func explainer(named name: String?) throws -> any Explainer {
    let usable = explainers
    let list = usable.map { "\"\($0.name)\"" }.joined(separator: ", ")
    guard let name else {
      guard let first = usable.first else { throw Failure(.notFound, "no method can explain this model") }
      return first
    }
    if let found = usable.first(where: { $0.name == name }) { return found }
    if Explainers.all.contains(where: { $0.name == name }) {
      throw Failure(
        .unsupported, "the method \"\(name)\" cannot explain this model of family \"\(metadata.family)\"; "
          + (list.isEmpty ? "no method can" : "these can: \(list)"))
    }
    throw Failure(.notFound, "there is no method \"\(name)\"; for this model there are: \(list)")
  }

  /// Explains `classes[i]` of picture `i`; nil stands for the predicted class.
  public func explain(
    _ pictures: [Picture], classes: [[Int?]], method: String? = nil, _ call: Call = Call()
  ) throws -> [Explanation] {
    let method = try explainer(named: method)
    return try method.explain(Task(self, pictures, classes, call, method))
  }
}
