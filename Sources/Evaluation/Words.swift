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
  /// Their places in the vocabulary.
  let places: [Int]
  /// Where the filter is active.
  let explanation: Explanation
  let things: [Thing]

  init?(_ explanation: Explanation, _ things: [Thing]) {
    guard let reading = explanation.reading else { return nil }
    (self.explanation, self.things) = (explanation, things)
    found = reading.words.map { $0.text.lowercased() }
    places = reading.words.map(\.index)
  }

  /// What `use`, which reads words, says of it; undefined where nothing is named.
  func value(_ use: MetricUse, _ call: Call, _ progress: Progress) throws -> Record.Value {
    guard !things.isEmpty else { return Record.Value(value: .nan) }
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
    let named = things.flatMap(\.words)
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
    let measurement = try Metrics.measure(
      use.metric, maps: Tensor(grid.values, Shape(checking: [1, grid.height, grid.width])), classes: [nil], call,
      progress)
    var value = Record.Value(measurement, use)
    guard use.foldsWords else { return value }
    let counts = measurement.details.first { $0.name == "counts" }?.tensor.array(of: UInt8.self) ?? []
    var known = Set<String>()
    let truth = zip(named, counts).filter { $1 == 1 && known.insert($0).inserted }.map(\.0)
    if !value.value.isNaN { value.words = Record.Words(truth: truth, found: found, places: places) }
    value.value = .nan
    return value
  }
}
