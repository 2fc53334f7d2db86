public import Explanations
public import Tensors

/// What a metric found.
public struct Measurement: Sendable {
  /// One number for each map, or image; NaN where it is undefined.
  public let values: [Double]
  /// Of all maps, as the metric averages: NaN where nothing is defined.
  public let mean: Double
  /// float64 [maps, points]; nil where the metric draws no curve.
  public let curve: Tensor?
  /// Arrays beside the values, by their documented names.
  public let details: [(name: String, tensor: Tensor)]
  /// The metric, filled in by the call that ran it, as are the next two.
  public internal(set) var metric = ""
  /// Every parameter with the value that was used, in the order of the table; where the caller left the choice to the
  /// metric, what that chose.
  public internal(set) var parameters: [(name: String, value: ParameterValue)] = []
  /// What the metric chose.
  let chosen: [String: ParameterValue]
  /// Of the random numbers; nil where the metric draws none.
  public internal(set) var seed: UInt64?

  /// `mean`: nil for that of the values that are defined.
  init(
    _ values: [Double], mean: Double? = nil, curve: Tensor? = nil, details: [(name: String, tensor: Tensor)] = [],
    chosen: [String: ParameterValue] = [:]
  ) {
    self.chosen = chosen
    self.values = values
    self.mean = mean ?? Self.mean(of: values)
    self.curve = curve
    self.details = details
  }

  /// Of the values that are numbers.
  public static func mean(of values: [Double]) -> Double {
    let defined = values.filter { !$0.isNaN }
    return defined.isEmpty ? .nan : defined.reduce(0, +) / Double(defined.count)
  }
}
