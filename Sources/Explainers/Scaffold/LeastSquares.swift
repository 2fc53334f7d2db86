/// min Σ_i w_i (y_i − a·x_i)² + ridge·|a|², by the normal equations.
struct LeastSquares {
  private let size: Int
  private var matrix: [Double]
  private var right: [Double]

  init(size: Int) {
    self.size = size
    matrix = [Double](repeating: 0, count: size * size)
    right = [Double](repeating: 0, count: size)
  }

  mutating func add(_ x: [Double], _ y: Double, weight: Double) {
    for i in 0..<size where x[i] != 0 {
      right[i] += weight * x[i] * y
      for j in 0...i { matrix[i * size + j] += weight * x[i] * x[j] }
    }
  }

  /// Where the rows do not fix every coefficient, the ridge is raised until they do.
  func solved(ridge: Double) -> [Double] {
    let largest = (0..<size).map { matrix[$0 * size + $0] }.max() ?? 0
    var ridge = ridge
    for _ in 0..<20 {
      if let found = cholesky(ridge, smallest: largest * 1e-13) { return found }
      ridge = max(ridge * 10, max(largest, 1) * 1e-10)
    }
    return [Double](repeating: 0, count: size)
  }

  /// nil where the matrix is not positive definite.
  private func cholesky(_ ridge: Double, smallest: Double) -> [Double]? {
    var lower = matrix
    for i in 0..<size {
      lower[i * size + i] += ridge
      for j in 0...i {
        var value = lower[i * size + j]
        for k in 0..<j { value -= lower[i * size + k] * lower[j * size + k] }
        if i == j {
          guard value > smallest else { return nil }
          lower[i * size + i] = value.squareRoot()
        } else {
          lower[i * size + j] = value / lower[j * size + j]
        }
      }
    }
    var result = right
    for i in 0..<size {
      for k in 0..<i { result[i] -= lower[i * size + k] * result[k] }
      result[i] /= lower[i * size + i]
    }
    for i in (0..<size).reversed() {
      for k in i + 1..<max(i + 1, size) { result[i] -= lower[k * size + i] * result[k] }
      result[i] /= lower[i * size + i]
    }
    return result
  }
}
