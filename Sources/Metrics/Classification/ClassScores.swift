import Explanations
import Models
import Tensors

/// What a classifier says of images, and what is true.
struct ClassScores {
  /// For each image, a number for each class.
  let rows: [[Float]]
  let truth: [Int]
  /// The class with the largest number, the first of equal ones.
  let predicted: [Int]
  let classCount: Int

  static let labels = Draw("labels", "[images]: the true classes; else the classes that the call is given.")

  /// From the model, or where there is none from the scores that the caller gives.
  init(_ request: MeasurementRequest) throws {
    truth = try Self.truth(request)
    var rows: [[Float]] = []
    if request.hasModel {
      let model = try request.model()
      let head = try model.requiredScores(request.call.output)
      guard head.kind != .values else {
        throw Failure(
          .invalidArgument,
          "the output \(quoted(head.name)) holds values that are no scores of classes: nothing is true of them")
      }
      try model.forEachBatch(
        of: model.stream(request.images, request.progress), fetch: [head.output], request.call, request.progress
      ) {
        let scores = try Scores($0.tensors[0], count: $0.count, of: head)
        for i in 0..<$0.count { rows.append(Array(scores[i])) }
      }
    } else {
      let (values, classes) = try request.givenScores()
      rows = stride(from: 0, to: values.count, by: classes).map { Array(values[$0..<$0 + classes]) }
    }
    self.rows = rows
    let count = rows.first?.count ?? 0
    classCount = count
    guard rows.allSatisfy({ $0.count == count }), truth.count == rows.count else {
      throw Failure(.invalidArgument, "there are \(truth.count) true classes for \(rows.count) images")
    }
    for index in truth { try request.checkClass(index, count) }
    predicted = rows.map { row in
      row.indices.reduce(0) { row[$1] > row[$0] || row[$0].isNaN && !row[$1].isNaN ? $1 : $0 }
    }
  }

  private static func truth(_ request: MeasurementRequest) throws -> [Int] {
    if let tensor = request.call.draws["labels"] {
      return try locating("draws \"labels\"") {
        guard tensor.count == request.count else {
          throw Failure(.invalidArgument, "there are \(tensor.count) for \(request.count) images")
        }
        return try tensor.doubles().map { value in
          guard let index = Int(exactly: value) else { throw Failure(.invalidArgument, "\(value) is no class") }
          return index
        }
      }
    }
    return try request.classes.map { index in
      guard let index else {
        throw Failure(
          .invalidArgument, "what is true of the images? Give classes, one for each, or the draws \"labels\"")
      }
      return index
    }
  }
}
