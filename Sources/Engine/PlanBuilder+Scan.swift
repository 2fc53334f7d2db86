import Graph
import Operators
import Tensors

/// Scan (version 9 on): its body for each slice of its inputs along an axis, as a part of the plan.
extension PlanBuilder {
  /// Inputs: states, then what is cut into slices. Body: (states, slices) to (states, slices of the results).
  mutating func addScan(_ node: Node) throws {
    guard graph.opset(of: node) >= 9 else {
      throw Failure(.unsupported, "its form of version 8, with an axis for the batch, is not supported")
    }
    guard let body = try node.graph("body"), let sliced = try node.int("num_scan_inputs"), sliced >= 1,
      sliced <= node.inputs.count, body.inputs.count == node.inputs.count,
      body.outputs.count >= node.inputs.count - sliced
    else { throw Failure(.invalidModel, "its body or num_scan_inputs do not fit its \(node.inputs.count) inputs") }
    let inputs = try node.inputs.map { input in
      guard let input else { throw Failure(.invalidModel, "an input is missing") }
      return input
    }
    let states = inputs.count - sliced
    let results = body.outputs.count - states
    let axes = try list(node, "scan_input_axes", sliced)
    let backwards = try list(node, "scan_input_directions", sliced).map { $0 == 1 }
    let count = try scanLength(Array(inputs[states...]), axes)
    var carried = Array(inputs[..<states])
    var parts = [[ValueID]](repeating: [], count: results)
    for i in 0..<count {
      let slices = try (0..<sliced).map { k in
        try slice(inputs[states + k], backwards[k] ? count - 1 - i : i, axis: axes[k])
      }
      let outputs = try addBody(body, arguments: carried + slices)
      carried = Array(outputs[..<states])
      for k in 0..<results { parts[k].append(outputs[states + k]) }
    }
    try alias(Array(node.outputs.prefix(states)), to: carried)
    let outputAxes = try list(node, "scan_output_axes", results)
    let reversed = try list(node, "scan_output_directions", results).map { $0 == 1 }
    for (k, output) in node.outputs.dropFirst(states).enumerated() where output != nil && k < results {
      try stack(reversed[k] ? parts[k].reversed() : parts[k], as: output, axis: outputAxes[k])
    }
  }

  private func list(_ node: Node, _ key: String, _ count: Int) throws -> [Int] {
    let values = try node.ints(key) ?? [Int](repeating: 0, count: count)
    guard values.count == count else {
      throw Failure(.invalidModel, "attribute \(quoted(key)) has \(values.count) numbers; expected \(count)")
    }
    return values
  }

  /// How many slices there are, of all inputs as many.
  private func scanLength(_ inputs: [ValueID], _ axes: [Int]) throws -> Int {
    let counts = try zip(inputs, axes).map { input, axis in
      guard let shape = values[input]?.operand.shape, axis >= -shape.rank, axis < shape.rank else {
        throw Failure(.invalidModel, "it has no axis \(axis) to cut its input along")
      }
      return shape[axis < 0 ? axis + shape.rank : axis]
    }
    guard let count = counts.first, counts.allSatisfy({ $0 == count }) else {
      throw Failure(.invalidModel, "its inputs have \(counts) slices; they must have as many each")
    }
    return count
  }

  private mutating func slice(_ input: ValueID, _ index: Int, axis: Int) throws -> ValueID {
    try emit("Gather", [input, constant(try Tensor([Int64(index)], .scalar))], attributes: ["axis": .int(axis)])
  }
}
