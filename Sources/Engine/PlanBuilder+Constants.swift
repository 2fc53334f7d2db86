import Graph
import Operators
import Parallel
import Tensors

/// What depends on constants alone is computed while the plan is made.
extension PlanBuilder {
  /// Some seconds of arithmetic. Files that hold many weights may have that many dequantised or transposed.
  static func mostFoldedWork(_ graph: Graph) -> Int {
    let weights = graph.constants.values.reduce(0) { min(1 << 30, $0 + $1.count) }
    return (1 << 28) + 4 * weights
  }

  /// Counts the work of a step that could be run now. One that would be too much is left to the run, where it can be
  /// stopped, and where no shape may depend on it. Where fed values decide shapes the plan is a part of the run.
  mutating func mayFold(_ step: Step, _ request: Request) throws -> Bool {
    let inputs = request.inputs.reduce(0) { $0 + ($1?.shape.count ?? 0) }
    let outputs = step.outputs.reduce(0) { $0 + $1.shape.count }
    let work = inputs + outputs + step.multiplyAdds / 16
    if !isForKnownFeeds, work > mostFoldedWork - foldedWork { return false }
    foldedWork += work
    try ask(after: work)
    return true
  }

  /// Asks, once in a while, whether to go on.
  mutating func ask(after work: Int) throws {
    unaskedWork += work
    guard unaskedWork >= 1 << 22 else { return }
    unaskedWork = 0
    try progress.polling.advance(0, of: 1)
  }

  /// Runs a step now and keeps its results as constants.
  mutating func fold(_ node: Node, _ step: Step, _ run: (Invocation) throws -> Void) throws {
    let inputs = try zip(node.inputs, step.inputLayouts).map { input, layout -> Tensor? in
      guard let input, case .constant(let tensor) = try place(of: input, in: layout) else { return nil }
      return try tensor.aligned()
    }
    let isEmpty = step.outputs.allSatisfy { $0.shape.count == 0 }
    let scratch = isEmpty ? 0 : step.workspace
    try limit.check(scratch, for: "its working memory")
    for output in step.outputs { try addFolded(output.byteCount, with: scratch) }
    let outputs = try step.outputs.map { try Tensor($0.type, $0.layout.physical($0.shape)) }
    let workspace = try Storage(byteCount: scratch)
    try withExtendedLifetime((inputs, outputs, workspace)) {
      if isEmpty { return }
      try run(
        Invocation(
          inputs: inputs.map { $0.map { UnsafeRawPointer($0.data) } }, outputs: outputs.map { $0.data },
          workspace: workspace.base, parallel: parallel))
    }
    for case (let output?, (let operand, let tensor)) in zip(node.outputs, zip(step.outputs, outputs)) {
      try setFolded(output, operand, tensor)
    }
  }

  /// Counts bytes that the plan will keep, before they are asked for.
  mutating func addFolded(_ byteCount: Int, with scratch: Int = 0) throws {
    let (sum, overflow) = foldedByteCount.addingReportingOverflow(byteCount)
    let (total, overflows) = sum.addingReportingOverflow(scratch)
    try limit.check(overflow || overflows ? .max : total, for: "what is computed while the plan is made")
    foldedByteCount = sum
  }

  /// Files may hold weights at any address; what reads them through typed pointers gets a copy, made once per model.
  func aligned(_ place: Place) throws -> Place {
    guard case .constant(let tensor) = place, !tensor.isAligned else { return place }
    let storage = try weights.packed([tensor], as: "aligned", byteCount: tensor.byteCount) {
      try tensor.aligned().storage
    }
    return .constant(try Tensor(tensor.type, tensor.shape, storage: storage))
  }

  /// `tensor` holds the bytes of a value in the layout that `operand` says.
  mutating func setFolded(_ value: ValueID, _ operand: Operand, _ tensor: Tensor) throws {
    var standard = tensor.reshaped(operand.shape)
    if !operand.layout.hasBytes(of: .standard, for: operand.shape) {
      try addFolded(operand.byteCount)
      standard = try Tensor(operand.type, operand.shape)
      kernels.copy(tensor.data, operand, to: .standard, into: standard.data, parallel)
    }
    values[value] = Value(
      operand: Operand(operand.type, operand.shape, constant: standard), places: [.standard: .constant(standard)])
  }

  /// The feeds that `value` depends on, as the error that asks for them.
  func needsFeeds(_ value: ValueID) throws -> NeedsFeeds {
    let feeds = graph.ancestors(of: value, among: fed)
    guard !feeds.isEmpty else {
      throw Failure(.unsupported, "its input \(quoted(graph.name(of: value))) must be known before the model runs")
    }
    return NeedsFeeds(feeds: feeds)
  }
}
