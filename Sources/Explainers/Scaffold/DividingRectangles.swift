import Glibc

/// DIRECT (Jones, Perttunen & Stuckman, JOTA 1993) in the unit square: looks for the largest value of a function by
/// dividing rectangles, both where its centres' values are large and where rectangles are.
///
/// Rectangles of an iteration are divided from the largest to the smallest, their points lie a third of a side from the
/// centre, along x before y. The same function always gives the same points.
struct DividingRectangles {
  struct Point: Equatable {
    var x, y: Double
  }

  private struct Rectangle {
    let centre: Point
    /// How often each axis was divided by three.
    var divisions: [Int]
    let value: Double

    /// From the centre to a corner.
    var size: Double { 0.5 * (pow(9, -Double(divisions[0])) + pow(9, -Double(divisions[1]))).squareRoot() }
  }

  private var rectangles: [Rectangle] = []
  /// How much better than the best a small rectangle must promise to be, as a part of the best.
  private let epsilon: Double

  init(epsilon: Double) { self.epsilon = epsilon }

  /// Calls `values` with the points of one iteration after the other, until they are `count`.
  mutating func maximize(_ count: Int, _ values: ([Point]) throws -> [Double]) rethrows {
    let middle = Point(x: 0.5, y: 0.5)
    rectangles = [Rectangle(centre: middle, divisions: [0, 0], value: try values([middle])[0])]
    var used = 1
    while used < count {
      var plans: [(rectangle: Int, axes: [Int])] = []
      var points: [Point] = []
      for i in promising() where used + points.count < count {
        let least = rectangles[i].divisions.min() ?? 0
        let axes = [0, 1].filter { rectangles[i].divisions[$0] == least }
        plans.append((i, axes))
        for axis in axes {
          for sign in [1.0, -1.0] {
            points.append(shifted(rectangles[i].centre, axis, sign * pow(3, -Double(least + 1))))
          }
        }
      }
      // The last rectangle may have more points than are left.
      points = Array(points.prefix(count - used))
      let found = try values(points)
      used += points.count
      guard used < count else { return }
      var first = 0
      for (i, axes) in plans {
        divide(i, axes, points[first...], found[first...])
        first += 2 * axes.count
      }
    }
  }

  private func shifted(_ point: Point, _ axis: Int, _ by: Double) -> Point {
    axis == 0 ? Point(x: point.x + by, y: point.y) : Point(x: point.x, y: point.y + by)
  }

  /// The axis with the best point is divided first, so that this point gets the larger rectangle.
  private mutating func divide(_ i: Int, _ axes: [Int], _ points: ArraySlice<Point>, _ values: ArraySlice<Double>) {
    let best = axes.indices.map { max(values[values.startIndex + 2 * $0], values[values.startIndex + 2 * $0 + 1]) }
    for k in axes.indices.sorted(by: { best[$0] != best[$1] ? best[$0] > best[$1] : $0 < $1 }) {
      rectangles[i].divisions[axes[k]] += 1
      for j in [2 * k, 2 * k + 1] {
        rectangles.append(
          Rectangle(
            centre: points[points.startIndex + j], divisions: rectangles[i].divisions,
            value: values[values.startIndex + j]))
      }
    }
  }

  /// The potentially optimal rectangles (definition 4.1): those that could hold the best value for some Lipschitz
  /// constant, largest first.
  private func promising() -> [Int] {
    let best = rectangles.map(\.value).max() ?? 0
    // Of each size the best value.
    var groups: [(size: Double, value: Double, members: [Int])] = []
    for (i, rectangle) in rectangles.enumerated() {
      guard let g = groups.firstIndex(where: { $0.size == rectangle.size }) else {
        groups.append((rectangle.size, rectangle.value, [i]))
        continue
      }
      if rectangle.value > groups[g].value { (groups[g].value, groups[g].members) = (rectangle.value, []) }
      if rectangle.value == groups[g].value { groups[g].members.append(i) }
    }
    return groups.sorted { $0.size > $1.size }.filter { group in
      let slope = groups.filter { $0.size > group.size }.map { (group.value - $0.value) / ($0.size - group.size) }.min()
      guard let slope else { return true }
      let steepest = groups.filter { $0.size < group.size }.map { ($0.value - group.value) / (group.size - $0.size) }
        .max()
      return slope > 0 && steepest ?? 0 <= slope && group.value + slope * group.size >= best + epsilon * abs(best)
    }.flatMap(\.members)
  }
}
