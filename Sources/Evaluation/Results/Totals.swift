import Explanations

/// What records are summed up to, so that they can be kept without it: mean curves, what metrics chose, times.
///
/// Sums do not depend on the order in which records come: points are added as whole numbers of 2⁻⁶⁰.
struct Totals: Sendable {
  /// For each method, for each metric of explanations.
  private(set) var curves: [CurveSum]
  /// By metric: those of the classifier, then those of explanations.
  private(set) var chosen: [Int: [(name: String, value: ParameterValue)]] = [:]
  private(set) var seconds: [(name: String, sum: Double, count: Int)] = []
  private var places: [String: Int] = [:]

  init(_ plan: Plan) {
    curves = Array(repeating: CurveSum(), count: plan.methods.count * plan.explanationMetrics.count)
  }

  mutating func add(_ record: Record) {
    for (name, value) in record.seconds {
      let place = places[name] ?? seconds.count
      if place == seconds.count {
        places[name] = place
        seconds.append((name, 0, 0))
      }
      seconds[place].sum += value
      seconds[place].count += 1
    }
    guard let prediction = record.prediction else { return }
    let scoreCount = prediction.values.count
    for (i, value) in prediction.values.enumerated() { note(value.chosen, i) }
    var place = 0
    for explained in record.explanations {
      for (k, value) in explained.values.enumerated() {
        curves[place].add(value.curve)
        note(value.chosen, scoreCount + k)
        place += 1
      }
    }
  }

  /// What a metric chose may depend on the size of the image: only what is the same for all is told.
  private mutating func note(_ new: [(name: String, value: ParameterValue)], _ metric: Int) {
    guard let known = chosen[metric] else {
      if !new.isEmpty { chosen[metric] = new }
      return
    }
    chosen[metric] = known.filter { old in new.isEmpty || new.contains { $0.name == old.name && $0.value == old.value }
    }
  }
}

/// A sum of curves, point by point, of each length.
struct CurveSum: Sendable {
  private var sums: [Int: (points: [Int128], counts: [Int])] = [:]

  mutating func add(_ curve: [Double]) {
    guard !curve.isEmpty else { return }
    let zeros = (points: [Int128](repeating: 0, count: curve.count), counts: [Int](repeating: 0, count: curve.count))
    for (i, value) in curve.enumerated() where abs(value) < 0x1p40 {
      sums[curve.count, default: zeros].points[i] += Int128((value * 0x1p60).rounded())
      sums[curve.count, default: zeros].counts[i] += 1
    }
  }

  /// The mean of the values that are numbers. Curves of other lengths are read at as many points as the longest has,
  /// linearly.
  var mean: [Double] {
    guard let length = sums.keys.max() else { return [] }
    var (points, counts) = ([Double](repeating: 0, count: length), [Double](repeating: 0, count: length))
    for (own, sum) in sums.sorted(by: { $0.key < $1.key }) {
      for i in 0..<length {
        let place = length > 1 ? Double(i) * Double(own - 1) / Double(length - 1) : 0
        let low = min(Int(place), max(0, own - 2))
        let rest = own > 1 ? place - Double(low) : 0
        let high = min(low + 1, own - 1)
        points[i] += Double(sum.points[low]) * 0x1p-60 * (1 - rest) + Double(sum.points[high]) * 0x1p-60 * rest
        counts[i] += Double(sum.counts[low]) * (1 - rest) + Double(sum.counts[high]) * rest
      }
    }
    return zip(points, counts).map { $1 > 0 ? $0 / $1 : .nan }
  }
}
