/// "did you mean "grad-cam"? " where one of `names` is near to `name`, else "": what an error says before it lists all.
public func suggestion(for name: String, among names: some Sequence<String>) -> String {
  let wanted = Array(plain(name))
  guard (2...64).contains(wanted.count) else { return "" }
  var nearest: (name: String, distance: Int)?
  for candidate in names {
    let letters = Array(plain(candidate))
    // A third of the letters may be wrong.
    let limit = min(nearest.map { $0.distance - 1 } ?? .max, max(wanted.count, letters.count) / 3)
    guard letters.count <= 96, abs(letters.count - wanted.count) <= limit else { continue }
    let distance = editDistance(wanted, letters)
    if distance <= limit { nearest = (candidate, distance) }
  }
  return nearest.map { "did you mean \(quoted($0.name))? " } ?? ""
}

/// Without case and what joins words, which are easily mistaken.
private func plain(_ name: String) -> String.UnicodeScalarView {
  var scalars = String.UnicodeScalarView()
  for scalar in name.lowercased().unicodeScalars where !"-_ ".unicodeScalars.contains(scalar) { scalars.append(scalar) }
  return scalars
}

/// How many letters must be put in, left out, replaced, or swapped with their neighbour (Damerau 1964).
private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  var before: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var distance = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { distance = min(distance, before[j - 1] + 1) }
      row.append(distance)
    }
    (before, last) = (last, row)
  }
  return last[b.count]
}
