import Graph
import Tensors
import Testing

@testable import Models

/// The kind of scores is what the graph computes at its end.
struct ScoreHeadTests {
  private static let tails: [(name: String, kind: Metadata.Role?, operations: [String])] = [
    ("plain", nil, []), ("softmax", .probabilities, ["Softmax"]), ("log-softmax", .logProbabilities, ["LogSoftmax"]),
    ("sigmoid", .independentProbabilities, ["Sigmoid"]),
    ("behind what moves numbers", .probabilities, ["Softmax", "Identity", "Flatten", "Dropout"]),
    ("logarithm", .logProbabilities, ["Softmax", "Log"]), ("not at the end", nil, ["Softmax", "MatMul"]),
  ]

  @Test("The tail of a graph tells what its scores are", arguments: tails)
  func tail(_ name: String, _ kind: Metadata.Role?, _ operations: [String]) {
    var graph = Graph()
    let logits = graph.addValue("logits")
    var last = logits
    for operation in operations {
      let next = graph.addValue()
      graph.nodes.append(Node(operation, inputs: [last], outputs: [next]))
      last = next
    }
    let found = ScoreTail(graph, rows: 2, shape: { _ in [2, 5] }, constants: { _ in nil }).find(last)
    #expect(found.kind == kind)
    #expect(found.logits == (kind == nil ? last : logits))
  }

  @Test("A softmax that is spelled out is one, less its maximum or not", arguments: [true, false])
  func spelledOut(isShifted: Bool) {
    var graph = Graph()
    let logits = graph.addValue("logits")
    func add(_ operation: String, _ inputs: ValueID...) -> ValueID {
      let value = graph.addValue()
      graph.nodes.append(Node(operation, inputs: inputs, outputs: [value]))
      return value
    }
    let shifted = isShifted ? add("Sub", logits, add("ReduceMax", logits)) : logits
    let power = add("Exp", shifted)
    let sum = add("ReduceSum", power)
    let last = add("Div", power, sum)
    let found = ScoreTail(graph, rows: 2, shape: { $0 == sum ? [2, 1] : [2, 5] }, constants: { _ in nil }).find(last)
    #expect(found.kind == .probabilities)
    #expect(found.logits == logits)
  }
}

/// What the axes of values are, through reshapes.
struct AxesTests {
  private let image = [Axis(.batch, 1), Axis(.channel, 48), Axis(.row, 8), Axis(.column, 6)]

  @Test("Rows and columns become tokens, and windows become rows and columns again")
  func reshapes() throws {
    let tokens = try #require(image.reshaped(to: [1, 48, 48]))
    #expect(tokens[2].grid == TokenGrid(rows: 8, columns: 6))
    let windows = try #require(image.reshaped(to: [1, 48, 2, 4, 3, 2]))
    #expect(windows.map(\.kind) == [nil, .channel, .row, .row, .column, .column])
    let back = try #require([windows[0], windows[2], windows[3], windows[4], windows[5], windows[1]].reshaped(to: [1, 8, 6, 48]))
    #expect(back.map(\.kind) == [nil, .row, .column, .channel])
    #expect(image.reshaped(to: [1, 9, 256]) == nil)
  }
}
