import Glibc

/// The projections of the columns of a matrix on the direction in which they vary most: its first right singular vector
/// times the singular value.
///
/// By power iteration on the smaller of the two products of the matrix with its transpose: without LAPACK, and the same
/// bits on every machine.
enum PrincipalComponent {
  /// `matrix` is [rows, columns]. The sign is open.
  static func projections(_ matrix: [Double], rows: Int, columns: Int) -> [Double] {
    guard rows > 0, columns > 0 else { return [Double](repeating: 0, count: columns) }
    if columns <= rows {
      // MᵀM v = σ²v
      let (vector, value) = largest(gram(count: columns, depth: rows) { matrix[$1 * columns + $0] }, columns)
      return vector.map { $0 * value.squareRoot() }
    }
    // MMᵀ u = σ²u, and σv = Mᵀu
    let (vector, _) = largest(gram(count: rows, depth: columns) { matrix[$0 * columns + $1] }, rows)
    var result = [Double](repeating: 0, count: columns)
    for r in 0..<rows { for c in 0..<columns { result[c] += vector[r] * matrix[r * columns + c] } }
    return result
  }

  private static func gram(count: Int, depth: Int, _ element: (_ i: Int, _ k: Int) -> Double) -> [Double] {
    var vectors = [Double](repeating: 0, count: count * depth)
    for i in 0..<count { for k in 0..<depth { vectors[i * depth + k] = element(i, k) } }
    var result = [Double](repeating: 0, count: count * count)
    for i in 0..<count {
      for j in i..<count {
        var sum = 0.0
        for k in 0..<depth { sum += vectors[i * depth + k] * vectors[j * depth + k] }
        result[i * count + j] = sum
        result[j * count + i] = sum
      }
    }
    return result
  }

  /// The eigenvector of the largest eigenvalue of a symmetric matrix, and that; zeros where there is none.
  private static func largest(_ matrix: [Double], _ count: Int) -> ([Double], Double) {
    // Begins with the column of the longest vector, which the wanted direction is hardly orthogonal to.
    let first = (0..<count).max { matrix[$0 * count + $0] < matrix[$1 * count + $1] } ?? 0
    var vector = (0..<count).map { matrix[first * count + $0] }
    var value = 0.0
    for _ in 0..<2000 {
      let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard length > 0 else { return ([Double](repeating: 0, count: count), 0) }
      let unit = vector.map { $0 / length }
      vector = (0..<count).map { i in
        var sum = 0.0
        for j in 0..<count { sum += matrix[i * count + j] * unit[j] }
        return sum
      }
      value = zip(vector, unit).reduce(0) { $0 + $1.0 * $1.1 }
      let rest = zip(vector, unit).reduce(0) { $0 + abs($1.0 - value * $1.1) }
      if rest <= 1e-12 * abs(value) { return (unit, value) }
    }
    let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return (vector.map { $0 / length }, value)
  }
}
