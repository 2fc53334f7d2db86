import Explanations
import Graph
import Models
import Operators
import Parallel
import Tensors

/// Methods whose attention gives one map per class, shown each on its own scale: TAME and L-CAM.
extension ExplanationRequest {
  static let classMapParameters = [
    Parameter(
      "normalize", choices: ["map", "none"], default: "map",
      "map: each map is spread over 0…1, before it is enlarged, as the authors do; none: the attention as it is.")
  ]

  /// Explains with the maps that the metadata of `method` names, in one pass for any number of classes.
  func explainWithClassMaps(of method: String) throws -> [Explanation] {
    let output = model.metadata.parameter("output", of: method) ?? "attention"
    let isSpread = try settings.word("normalize") == "map"
    func shown(_ grid: Heatmap) -> DrawnGrid { isSpread ? (grid.spread, 0...1) : (grid, grid.range) }
    let weights = model.metadata.parameter("class_weights", of: method)
    if let rows = try model.rowSelection(of: output, by: weights), try canRunInTwoParts() {
      return try explain(output, rows, shown)
    }
    return try explain(fetching: [model.value(named: output)]) { tensors, classes in
      let maps = try OutputMaps(tensors[0], named: output, count: classes.count)
      return try classes.enumerated().map { i, wanted in try wanted.map { shown(try maps.grid(i, $0)) } }
    }
  }

  /// False where shapes depend on the values that are fed; then the maps of all classes are made.
  private func canRunInTwoParts() throws -> Bool {
    guard let first = images.first else { return true }
    do {
      _ = try model.analysis(for: model.preparedShape(of: first), requiredScores(), call)
    } catch let failure as Failure where failure.kind == .unsupported {
      return false
    }
    return true
  }

  /// Runs the part of the model behind the scores with the rows of the wanted classes in place of all.
  private func explain(
    _ output: String, _ selection: RowSelection, _ shown: (Heatmap) -> DrawnGrid
  ) throws -> [Explanation] {
    let head = try requiredScores()
    var explanations: [Explanation] = []
    var known: (scores: Scores, classes: [[Int]], rows: [Int])?
    try model.forEachInTwoParts(
      of: model.stream(images, progress), fetches: [head.output, model.value(named: output)], call, progress,
      run: { items, feeds in
        try model.run(
          selection, count: rowCount(items, selection), feeds: feeds, early: [head.output], model.parallel(for: call))
      },
      late: { batch in
        let scores = try Scores(batch.early[0], count: batch.items.count, of: head)
        let classes = try batch.items.enumerated().map { row, image in try resolvedClasses(image, scores, row: row) }
        let rows = Set(classes.joined()).sorted()
        known = (scores, classes, rows)
        return rows.isEmpty ? [] : [try selection.rows(rows, of: batch.late.shape[0])]
      }
    ) { batch, _, fetched in
      guard let known else { throw Failure(.internal, "a map came before its scores") }
      let maps = try OutputMaps(fetched[0], named: output, count: batch.items.count)
      guard maps.channels == batch.late.shape[0] else {
        throw Failure(
          .invalidModel, "the class weights give \(maps.channels) maps for \(batch.late.shape[0]) classes")
      }
      let grids = try known.classes.enumerated().map { i, wanted in
        try wanted.map { index in shown(try maps.grid(i, known.rows.firstIndex(of: index) ?? 0)) }
      }
      try add(grids, of: known.classes, known.scores, batch.items, to: &explanations)
    }
    return explanations
  }

  /// Room for the classes that are wanted of some images, as a power of two, so that few plans are made.
  private func rowCount(_ items: [Int], _ selection: RowSelection) -> Int {
    let wanted = items.flatMap { classes[$0] }
    let most = min(Set(wanted.compactMap(\.self)).count + wanted.count { $0 == nil }, selection.rowCount)
    var count = 1
    while count < most { count *= 2 }
    return min(count, selection.rowCount)
  }
}
