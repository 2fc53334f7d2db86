import Explainers
import Explanations

extension Evaluation {
  /// The records, those values filled in that take the images before theirs in the order of the data set: recall among
  /// the words of a name that grows. Records are the same in whatever order, and wherever, they are made, so these are.
  var foldedRecords: [Int: Record] {
    get throws {
      var records = records
      let indices = data.samples.indices.filter { records[$0]?.failure == nil && records[$0] != nil }
      for (k, use) in plan.explanationMetrics.enumerated() where use.foldsWords {
        let limit = try use.settings.integer("k")
        for m in plan.methods.indices {
          let values = Self.folded(indices.map { records[$0]?.explanations[m].values[k].words }, limit)
          for (i, value) in zip(indices, values) { records[i]?.set(value, method: m, metric: k) }
        }
      }
      return records
    }
  }

  /// Equal counts go by the vocabulary, whose places are the words' numbers here; others have numbers beyond these.
  private static func folded(_ words: [Record.Words?], _ limit: Int) -> [Double] {
    var numbers: [String: Int] = [:]
    for each in words {
      for (text, place) in zip(each?.found ?? [], each?.places ?? []) {
        numbers[text] = min(place, numbers[text] ?? place)
      }
    }
    var next = Record.Value.mostWords
    func number(_ text: String) -> Int {
      if let known = numbers[text] { return known }
      numbers[text] = next
      next += 1
      return next - 1
    }
    let images = words.map { each in
      Recall.Image(
        truth: Set((each?.truth ?? []).map(number)), words: (each?.found ?? []).map(number), weight: 1)
    }
    return Recall.cumulative(images, limit: limit).map { $0 ?? .nan }
  }
}

extension Record {
  fileprivate mutating func set(_ value: Double, method: Int, metric: Int) {
    guard case .found(let prediction, var explanations) = outcome else { return }
    explanations[method].values[metric].value = value
    outcome = .found(prediction, explanations)
  }
}
