public import Tensors

/// Where the time of runs goes: the steps of their plans, in the order in which they first ran.
public final class Profile {
  public struct Step {
    /// In its plan.
    public let index: Int
    public let operation: String
    /// The node and its operator.
    public let title: String
    /// Of the first result.
    public let shape: Shape?
    public fileprivate(set) var seconds = 0.0
    /// Of all runs together; 0 where they are not most of the step's work.
    public fileprivate(set) var multiplyAdds = 0.0

    public init(index: Int, operation: String, title: String, shape: Shape?) {
      self.index = index
      self.operation = operation
      self.title = title
      self.shape = shape
    }
  }

  public private(set) var steps: [Step] = []
  private var places: [String: Int] = [:]

  public init() {}

  func add(_ step: Step, _ multiplyAdds: Int, _ duration: Duration) {
    let key = "\(step.index) \(step.title) \(step.shape.map { "\($0)" } ?? "")"
    let place = places[key] ?? steps.count
    if place == steps.count {
      places[key] = place
      steps.append(step)
    }
    steps[place].seconds += Double(duration.components.seconds) + 1e-18 * Double(duration.components.attoseconds)
    steps[place].multiplyAdds += Double(multiplyAdds)
  }
}
