public import Documents
import Explanations
import Metrics
import Tensors

extension Evaluation {
  /// All of the results, as one document; the same for the same records. Times are not in it.
  public func document(_ summary: Summary) throws -> JSON {
    let options = summary.options
    var members: [(String, JSON)] = settings.members ?? []
    members += [
      (
        "data",
        .object([
          ("format", .text(data.format)), ("path", .optional(data.path)), ("classes", .text(data.classes)),
          ("images", .integer(summary.sampleCount)), ("evaluated", .integer(summary.evaluatedCount)),
          (
            "failed", .list(summary.failures.map { .object([("name", .text($0.name)), ("reason", .text($0.reason))]) })
          ),
          ("complete", .bool(summary.isComplete)),
        ])
      ),
      (
        "bootstrap",
        .object([
          ("resamples", .integer(options.resamples)), ("confidence", .number(options.confidence)),
          ("seed", .integer(options.seed)),
        ])
      ),
      (
        "accuracy",
        summary.accuracy.isEmpty
          ? .null : .object(summary.accuracy.map { ("top\($0.top)", JSON($0.estimate)) })
      ),
      ("confidence", JSON(summary.confidence)),
      (
        "confusion",
        .list(summary.confusion.map { .list([.integer($0.truth), .integer($0.predicted), .integer($0.count)]) })
      ),
      ("results", .list(summary.results.map(\.json))),
      ("comparisons", .list(summary.comparisons.map(\.json))),
    ]
    if !summary.details.isEmpty {
      members.append(("details", .object(try summary.details.map { ($0.name, try JSON(nested: $0.tensor)) })))
    }
    return .object(members)
  }

  /// A line for each method and metric.
  public func summaryTable(_ summary: Summary) -> String {
    var text = CSV.line(["method", "metric", "mean", "low", "high", "images", "better", "best"])
    for (top, estimate) in summary.accuracy {
      text += CSV.line([
        "", "top-\(top) accuracy", CSV.number(estimate.mean), CSV.number(estimate.interval?.lowerBound),
        CSV.number(estimate.interval?.upperBound), "\(estimate.count)", Direction.more.rawValue, "",
      ])
    }
    for result in summary.results {
      let interval = result.estimate.interval
      text += CSV.line([
        result.method ?? "", result.metric, CSV.number(result.estimate.mean), CSV.number(interval?.lowerBound),
        CSV.number(interval?.upperBound), "\(result.estimate.count)", result.better.rawValue, result.isBest ? "1" : "",
      ])
    }
    return text
  }

  /// A line for each image: what the model says of it, and a column for each method and metric.
  public func imageTable() throws -> String {
    let (methods, metrics) = (plan.methods, plan.explanationMetrics)
    let columns =
      plan.scoreMetrics.map(\.name)
      + methods.flatMap { method in
        ["\(method.name) class"] + metrics.map { "\(method.name) \($0.name)" }
      }
    let records = try foldedRecords
    // A text grows by doubling; a number is as long as 24 characters.
    try requireMemory(records.count, of: 3 * 24 * (8 + columns.count))
    var text = CSV.line(
      ["index", "name", "truth", "predicted", "probability", "truth_probability", "truth_rank"] + columns + ["failed"])
    for i in data.samples.indices {
      guard let record = records[i] else { continue }
      var fields = ["\(i)", record.name, record.truth.map(String.init) ?? ""]
      if let prediction = record.prediction {
        fields += [
          prediction.classIndex < 0 ? "" : "\(prediction.classIndex)", CSV.number(prediction.probability),
          CSV.number(prediction.truthProbability),
          prediction.truthRank.map(String.init) ?? "",
        ]
        fields += prediction.values.map { CSV.number($0.value) }
        for explained in record.explanations {
          fields += ["\(explained.classIndex)"] + explained.values.map { CSV.number($0.value) }
        }
      } else {
        fields += [String](repeating: "", count: 4 + columns.count)
      }
      text += CSV.line(fields + [record.failure ?? ""])
    }
    return text
  }

  /// A line for each point of the mean curves; nil where no metric draws curves. `share` is how far along a point is.
  public func curveTable(_ summary: Summary) -> String? {
    let drawn = summary.results.filter { !$0.curve.isEmpty }
    guard !drawn.isEmpty else { return nil }
    var text = CSV.line(["method", "metric", "point", "share", "mean"])
    for result in drawn {
      let last = max(1, result.curve.count - 1)
      for (i, value) in result.curve.enumerated() {
        text += CSV.line([
          result.method ?? "", result.metric, "\(i)", CSV.number(Double(i) / Double(last)), CSV.number(value),
        ])
      }
    }
    return text
  }

  /// How long things took: of all images with a record, in seconds, as they were evaluated, on whatever machines.
  public func timing() -> JSON {
    let parts = totals.seconds.map { part in
      JSON.object([
        ("part", .text(part.name)), ("images", .integer(part.count)), ("sum", .number(part.sum)),
        ("mean", .number(part.sum / Double(max(1, part.count)))),
      ])
    }
    return .object([("seconds", .list(parts))])
  }
}

extension Summary.Result {
  var json: JSON {
    .object([
      ("method", .optional(method)), ("metric", .text(metric)), ("better", .text(better.rawValue)),
      ("mean", .number(estimate.mean)), ("low", .optional(estimate.interval?.lowerBound)),
      ("high", .optional(estimate.interval?.upperBound)), ("images", .integer(estimate.count)), ("best", .bool(isBest)),
      ("chosen", JSON(chosen)), ("curve", curve.isEmpty ? .null : .list(curve.map { .number($0) })),
    ])
  }
}

extension Summary.Comparison {
  var json: JSON {
    .object([
      ("metric", .text(metric)), ("method", .text(method)), ("other", .text(other)),
      ("difference", .number(difference.mean)), ("low", .optional(difference.interval?.lowerBound)),
      ("high", .optional(difference.interval?.upperBound)), ("images", .integer(difference.count)),
      ("wins", .optional(wins)),
    ])
  }
}

extension JSON {
  init(_ estimate: Summary.Estimate) {
    self = .object([
      ("mean", .number(estimate.mean)), ("low", .optional(estimate.interval?.lowerBound)),
      ("high", .optional(estimate.interval?.upperBound)), ("images", .integer(estimate.count)),
    ])
  }

  fileprivate static func optional(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }

  /// Lists in lists, as the axes are.
  fileprivate init(nested tensor: Tensor) throws {
    let values = try tensor.doubles()
    let isWhole = tensor.type == .int64
    func nested(_ axis: Int, _ start: Int, _ count: Int) -> JSON {
      guard axis < tensor.shape.rank else { return isWhole ? .integer(Int(values[start])) : .number(values[start]) }
      let size = count / max(1, tensor.shape[axis])
      return .list((0..<tensor.shape[axis]).map { nested(axis + 1, start + $0 * size, size) })
    }
    self = nested(0, 0, values.count)
  }
}

/// Comma-separated values (RFC 4180).
enum CSV {
  static func line(_ fields: [String]) -> String {
    fields.map { field in
      guard field.utf8.contains(where: { ",\"\n\r".utf8.contains($0) }) else { return field }
      return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }.joined(separator: ",") + "\n"
  }

  /// The shortest text that reads as the same number; nothing for none.
  static func number(_ value: Double?) -> String { value.map { $0.isNaN ? "" : "\($0)" } ?? "" }
}
