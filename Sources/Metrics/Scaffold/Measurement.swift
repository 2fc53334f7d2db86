public import Explanations
public import Tensors

/// What a metric found.
public struct Measurement: Sendable {
  /// One number for each map, or image; NaN where it is undefined.
  public private(set) var values: [Double]
  /// Of all maps, as the metric averages: NaN where nothing is defined.
  public private(set) var mean: Double
  /// float64 [maps, points]; nil where the metric draws no curve.
  public private(set) var curve: Tensor?
  /// Arrays beside the values, by their documented names.
  public var details: [(name: String, tensor: Tensor)] { mapDetails + ownDetails }
  /// Those with a row for each map, of float64, and others.
  private var mapDetails: [(name: String, tensor: Tensor)]
  private let ownDetails: [(name: String, tensor: Tensor)]
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
    _ values: [Double], mean: Double? = nil, curve: Tensor? = nil, mapDetails: [(name: String, tensor: Tensor)] = [],
    details: [(name: String, tensor: Tensor)] = [], chosen: [String: ParameterValue] = [:]
  ) {
    self.chosen = chosen
    self.mapDetails = mapDetails
    ownDetails = details
    self.values = values
    self.mean = mean ?? Self.mean(of: values)
    self.curve = curve
  }

  /// Leaves nothing of maps that nothing can be said of; `mean` averages the values that are left.
  mutating func leaveOut(_ isLeftOut: [Bool], mean average: ([Double]) throws -> Double) throws {
    guard isLeftOut.contains(true), isLeftOut.count == values.count else { return }
    for i in values.indices where isLeftOut[i] { values[i] = .nan }
    func without(_ tensor: Tensor) throws -> Tensor {
      var numbers = tensor.array(of: Double.self)
      let size = numbers.count / isLeftOut.count
      for i in numbers.indices where isLeftOut[i / max(1, size)] { numbers[i] = .nan }
      return try Tensor(numbers, tensor.shape)
    }
    curve = try curve.map(without)
    mapDetails = try mapDetails.map { ($0.name, try without($0.tensor)) }
    mean = try average(values)
  }

  /// Of the values that are numbers.
  public static func mean(of values: [Double]) -> Double {
    let defined = values.filter { !$0.isNaN }
    return defined.isEmpty ? .nan : defined.reduce(0, +) / Double(defined.count)
  }
}
