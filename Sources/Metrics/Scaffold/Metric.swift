public import Explainers
public import Explanations
import Tensors

/// What of explanations a metric reads; doors that are given explanations take it from them.
public enum MapSource: String, Sendable {
  /// The map as the method made it, over what the model saw.
  case grid
  /// The map at the size of the image.
  case map
  /// A value for every colour where the method gives one, else the grid.
  case attribution
  /// No map, but a number for each class, [images, classes], where there is no model to ask.
  case scores
  /// Nothing.
  case none
}

/// Which values are the good ones.
public enum Direction: String, Sendable {
  case more, less
  /// What is good depends on what is measured.
  case neither
}

/// A measure of explanations, or of a classifier. To add one, write its file and list it in `Metrics.all`.
///
/// Its draws are labels and boxes too.
public protocol Metric: Configurable {
  /// One sentence: what the number means, and whether more is better.
  var summary: String { get }
  var better: Direction { get }
  /// The same by these settings.
  func better(by settings: Settings) throws -> Direction
  var reads: MapSource { get }
  var needsModel: Bool { get }
  /// Whether it explains changed images itself, by the method that the caller names.
  var needsMethod: Bool { get }
  func measure(_ request: MeasurementRequest) throws -> Measurement
  /// What the metric makes of the values of many images: NaN where nothing is defined.
  ///
  /// - Parameters:
  ///   - classes: of each value; nil where it is not known
  ///   - batchSize: of the call that they are from; 0: the metric's own
  func mean(of values: [Double], classes: [Int?], _ settings: Settings, batchSize: Int) throws -> Double
}

extension Metric {
  public var reads: MapSource { .grid }
  public var needsModel: Bool { true }
  public var needsMethod: Bool { false }
  public func better(by settings: Settings) -> Direction { better }

  /// The settings of a call, checked. Throws for what the metric does not have, or, as it is set, does not read.
  public func settings(of given: [String: ParameterValue]) throws -> Settings {
    try Settings(parameters, given, of: "the metric \(quoted(name))")
  }

  /// Of the values that are numbers.
  public func mean(of values: [Double], classes: [Int?], _ settings: Settings, batchSize: Int) throws -> Double {
    Measurement.mean(of: values)
  }
}

extension Metrics {
  /// The metric of this name. Throws `notFound`, listing what there is.
  public static func named(_ name: String) throws -> any Metric {
    if let found = all.first(where: { $0.name == name }) { return found }
    throw Failure(
      .notFound,
      "there is no metric \(quoted(name)); \(suggestion(for: name, among: all.map(\.name)))there are \(all.map(\.name).joined(separator: ", "))"
    )
  }
}
