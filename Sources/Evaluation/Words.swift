import Explainers
import Explanations
import Images
import Metrics
import Models
import Parallel
import Tensors

/// How well the words that were found for what a filter sees are those of the things that are there.
struct WordsFound {
  let found: [String]
  /// Where the filter is active.
  let explanation: Explanation
  let things: [Thing]

  init?(_ explanation: Explanation, _ things: [Thing]) {
    guard let reading = explanation.reading else { return nil }
    (self.explanation, self.things) = (explanation, things)
    found = reading.words.map { $0.text.lowercased() }
  }

  /// What `use`, which reads words, says of it; undefined where nothing is named.
  func measure(_ use: MetricUse, _ call: Call, _ progress: Progress) throws -> Measurement? {
    guard !things.isEmpty else { return nil }
    let grid = explanation.grid
    // The metric knows words by numbers; which ones does not matter.
    var numbers: [String: Int64] = [:]
    func number(_ word: String) -> Int64 {
      if let known = numbers[word] { return known }
      numbers[word] = Int64(numbers.count)
      return Int64(numbers.count - 1)
    }
    var labels: [Int64] = []
    var masks: [UInt8] = []
    for thing in things {
      let cells = try thing.cells(over: explanation.field.region, width: grid.width, height: grid.height)
      for word in thing.words {
        labels += [0, number(word)]
        masks += cells
      }
    }
    let words = found.isEmpty ? [-1] : found.map(number)
    var call = call
    call.draws["words"] = try Tensor(words, .int64, Shape(checking: [1, words.count]))
    call.draws["labels"] = try Tensor(labels, .int64, Shape(checking: [labels.count / 2, 2]))
    call.draws["mask"] = try Tensor(masks, .uint8, Shape(checking: [labels.count / 2, grid.height, grid.width]))
    return try Metrics.measure(
      use.metric, maps: Tensor(grid.values, Shape(checking: [1, grid.height, grid.width])), classes: [nil], call,
      progress)
  }
}
