import Documents
import Parallel
import Tensors

/// Where a run's time goes: by operator, and the steps that take longest. Times are means over the rounds.
struct StepTimes {
  private struct Row {
    let name: String
    var count: Int
    var seconds: Double
    var multiplyAdds: Double
  }

  private let operators: [Row]
  private let steps: [Row]
  /// Multiplications with additions a second of one core.
  private let peak: Double
  private static let shown = 10

  init(_ profile: Profile, rounds: Int, peak: Double) {
    self.peak = peak
    let share = 1 / Double(rounds)
    var rows: [String: Row] = [:]
    for step in profile.steps {
      var row = rows[step.operation] ?? Row(name: step.operation, count: 0, seconds: 0, multiplyAdds: 0)
      row.count += 1
      row.seconds += step.seconds * share
      row.multiplyAdds += step.multiplyAdds * share
      rows[step.operation] = row
    }
    operators = rows.values.sorted { $0.seconds > $1.seconds }
    steps = profile.steps.map { step in
      Row(
        name: step.title.printable + (step.shape.map { " [\($0)]" } ?? ""), count: 1, seconds: step.seconds * share,
        multiplyAdds: step.multiplyAdds * share)
    }.sorted { $0.seconds > $1.seconds }
  }

  private var total: Double { operators.reduce(0) { $0 + $1.seconds } }

  var text: String {
    "one core's peak: \(fixed(2e-9 * peak, 1)) GFLOP/s\n\n" + table("operator", operators)
      + "\n" + table("slowest steps", Array(steps.prefix(Self.shown)))
  }

  private func table(_ title: String, _ rows: [Row]) -> String {
    var table = Table()
    table.add(title, "steps", "ms", "share", "GFLOP/s", "of peak")
    for row in rows {
      let speed = row.multiplyAdds / row.seconds
      table.add(
        row.name, "\(row.count)", fixed(1000 * row.seconds, 3), fixed(100 * row.seconds / total, 1) + " %",
        row.multiplyAdds > 0 ? fixed(2e-9 * speed, 1) : "",
        row.multiplyAdds > 0 ? fixed(100 * speed / peak, 0) + " %" : "")
    }
    return table.text
  }

  var json: JSON {
    func list(_ rows: [Row]) -> JSON {
      .list(
        rows.map { row in
          .object([
            ("name", .text(row.name)), ("steps", .integer(row.count)), ("ms", .number(1000 * row.seconds)),
            ("gflops", row.multiplyAdds > 0 ? .number(2e-9 * row.multiplyAdds / row.seconds) : .null),
          ])
        })
    }
    return .object([
      ("peak_gflops", .number(2e-9 * peak)), ("operators", list(operators)), ("steps", list(steps)),
    ])
  }
}
