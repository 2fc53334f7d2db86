import Explainers
import Explanations
import Tensors

/// The confusion matrix of a classifier and what is read off it. The value is 1 for each image that is right, else 0;
/// the rest are details: `matrix` [true class, predicted class], `accuracy`, Cohen's `kappa`, and for each class
/// against the others `recall`, `precision`, `f1`, and `auc`, the area under the ROC curve by the class's score (equal
/// scores count half).
///
/// What divides by 0 is NaN. `compat` "scouter" (the reproduction's ACRIMA table): the numbers of class 1 alone.
struct Confusion: Metric {
  let name = "confusion"
  let better = Direction.more
  let summary = "The confusion matrix of the classifier, with recall, precision, F1, AUC and kappa as details."
  let needsModel = false
  let reads = MapSource.scores
  let draws = [ClassScores.labels]
  let parameters = [Parameter("compat", choices: ["none", "scouter"], default: "none", Score.compatSummary)]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let scores = try ClassScores(request)
    let count = scores.classCount
    for (i, row) in scores.rows.enumerated() where row[scores.predicted[i]].isNaN {
      throw Failure(.invalidArgument, "the scores of image \(i) are NaN: no class is predicted; leave the image out")
    }
    guard count <= 10_000 else { throw Failure(.unsupported, "a confusion matrix of \(count) classes is too large") }
    var matrix = [Int64](repeating: 0, count: count * count)
    for (truth, predicted) in zip(scores.truth, scores.predicted) { matrix[truth * count + predicted] += 1 }
    let isScouter = try request.settings.word("compat") == "scouter"
    guard !isScouter || count == 2 else {
      throw Failure(.invalidArgument, "compat \"scouter\" is for two classes, not \(count)")
    }
    let classes = isScouter ? 1..<2 : 0..<count
    let shape: Shape = isScouter ? .scalar : try Shape(checking: [count])
    let rows = classes.map { Row(matrix, count, $0) }
    func detail(_ name: String, _ values: [Double], _ shape: Shape) throws -> (name: String, tensor: Tensor) {
      (name, try Tensor(values, shape))
    }
    let values = zip(scores.truth, scores.predicted).map { $0 == $1 ? 1.0 : 0.0 }
    return Measurement(
      values,
      details: [
        ("matrix", try Tensor(matrix, Shape(checking: [count, count]))),
        try detail("accuracy", [values.reduce(0, +) / Double(values.count)], .scalar),
        try detail("kappa", [Self.kappa(matrix, count)], .scalar),
        try detail("recall", rows.map(\.recall), shape), try detail("precision", rows.map(\.precision), shape),
        try detail("f1", rows.map(\.f1), shape), try detail("auc", classes.map { Self.area($0, scores) }, shape),
      ])
  }

  /// One class against the others.
  private struct Row {
    let hits, truths, predictions: Double

    init(_ matrix: [Int64], _ count: Int, _ index: Int) {
      hits = Double(matrix[index * count + index])
      truths = Double((0..<count).reduce(0) { $0 + matrix[index * count + $1] })
      predictions = Double((0..<count).reduce(0) { $0 + matrix[$1 * count + index] })
    }

    var recall: Double { hits / truths }
    var precision: Double { hits / predictions }
    var f1: Double { 2 * hits / (truths + predictions) }
  }

  /// (p_o − p_e) / (1 − p_e)
  private static func kappa(_ matrix: [Int64], _ count: Int) -> Double {
    let all = Double(matrix.reduce(0, +))
    let rows = (0..<count).map { Row(matrix, count, $0) }
    let agreed = rows.reduce(0) { $0 + $1.hits } / all
    let expected = rows.reduce(0) { $0 + $1.truths * $1.predictions } / (all * all)
    return (agreed - expected) / (1 - expected)
  }

  /// The share of pairs, one image of the class and one that is not, in which the former scores higher.
  private static func area(_ index: Int, _ scores: ClassScores) -> Double {
    guard !scores.rows.contains(where: { $0[index].isNaN }) else { return .nan }
    let order = scores.rows.indices.sorted { scores.rows[$0][index] < scores.rows[$1][index] }
    var (start, rankSum) = (0, 0.0)
    let positives = Double(scores.truth.count { $0 == index })
    while start < order.count {
      var end = start
      while end < order.count, scores.rows[order[end]][index] == scores.rows[order[start]][index] { end += 1 }
      end = max(end, start + 1)
      let rank = Double(start + end + 1) / 2
      rankSum += rank * Double(order[start..<end].count { scores.truth[$0] == index })
      start = end
    }
    return (rankSum - positives * (positives + 1) / 2) / (positives * (Double(order.count) - positives))
  }
}
