import Explainers
public import Explanations
public import Models
public import Parallel
import Tensors

extension Model {
  /// Measures explanations of images, in their order; equally many for each.
  public func measure(
    _ metric: any Metric, _ images: [ImageInput], _ explanations: [Explanation], method: MethodCall? = nil,
    _ call: Call, _ progress: Progress
  ) throws -> Measurement {
    var call = call
    if metric.draws.contains(where: { $0.name == "range" }), call.draws["range"] == nil {
      let ranges = explanations.flatMap { [$0.range.lowerBound, $0.range.upperBound] }
      call.draws["range"] = try Tensor(ranges, Shape(checking: [explanations.count, 2]))
    }
    return try measure(
      metric, images, maps: try Self.maps(of: explanations, metric.reads),
      classes: explanations.map { $0.classIndex < 0 ? nil : $0.classIndex }, method: method, call, progress)
  }

  /// What `source` says of explanations, as one tensor; nil for nothing.
  private static func maps(of explanations: [Explanation], _ source: MapSource) throws -> Tensor? {
    let tensors = try explanations.map { explanation in
      switch source {
      case .map:
        let field = explanation.field
        return try Tensor(explanation.map(.unwatched), Shape(checking: [field.height, field.width]))
      case .attribution:
        let found = explanation.details.first { $0.name == "attribution" }?.tensor
        return try found ?? explanation.grid.tensor()
      default: return try explanation.grid.tensor()
      }
    }
    guard source != .none, source != .scores, let first = tensors.first else { return nil }
    guard tensors.allSatisfy({ $0.shape == first.shape && $0.type == .float32 }) else {
      throw Failure(.invalidArgument, "the explanations have maps of different sizes; measure them one by one")
    }
    let shape = try Shape(checking: [tensors.count] + first.shape.dimensions)
    return try Tensor(tensors.flatMap { $0.array(of: Float.self) }, shape)
  }
}

extension Heatmap {
  fileprivate func tensor() throws -> Tensor { try Tensor(values, Shape(checking: [height, width])) }
}
