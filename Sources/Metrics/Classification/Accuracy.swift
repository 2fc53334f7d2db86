import Explainers
import Explanations
import Tensors

/// The share of images whose true class is among the `top` largest scores: 1 or 0 for each image.
///
/// A class goes before one of equal score that has a larger number.
struct Accuracy: Metric {
  let name = "accuracy"
  let better = Direction.more
  let summary = "The share of images whose true class has the largest score."
  let needsModel = false
  let reads = MapSource.scores
  let draws = [ClassScores.labels]
  let parameters = [Parameter("top", default: 1, in: 1...1_000_000, "Among so many of the largest scores.")]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let top = try request.settings.integer("top")
    let scores = try ClassScores(request)
    let values = zip(scores.rows, scores.truth).map { row, truth in
      let before = row.indices.count { row[$0] > row[truth] || row[$0] == row[truth] && $0 < truth }
      return row[truth].isNaN || before >= top ? 0.0 : 1.0
    }
    let predicted = try Tensor(scores.predicted.map { Int64($0) }, Shape(checking: [values.count]))
    return Measurement(values, details: [("predicted", predicted)])
  }
}
