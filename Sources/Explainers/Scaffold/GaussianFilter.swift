import Glibc

/// A Gaussian along rows and columns, with weights that sum to 1; its adjoint too.
package struct GaussianFilter {
  package enum Border {
    /// Mirrored about the outer pixels, which are not repeated.
    case reflected
    /// 0 outside.
    case zero
  }

  private let weights: [Double]
  private let border: Border
  private var radius: Int { weights.count / 2 }

  package init(sigma: Double, radius: Int, border: Border) {
    self.init(weights: (-radius...radius).map { exp(-Double($0 * $0) / (2 * sigma * sigma)) }, border: border)
  }

  /// `weights` need not sum to 1.
  init(weights: [Double], border: Border) {
    let sum = weights.reduce(0, +)
    self.weights = weights.map { $0 / sum }
    self.border = border
  }

  package func callAsFunction(_ map: [Float], height: Int, width: Int) -> [Float] {
    self(map.map(Double.init), height: height, width: width).map { Float($0) }
  }

  func callAsFunction(_ map: [Double], height: Int, width: Int) -> [Double] {
    let rows = along(map, count: height, step: width, lines: width, lineStep: 1, isAdjoint: false)
    return along(rows, count: width, step: 1, lines: height, lineStep: width, isAdjoint: false)
  }

  /// The gradient by the map, of the gradient by what is made of it.
  func adjoint(_ gradient: [Double], height: Int, width: Int) -> [Double] {
    let columns = along(gradient, count: width, step: 1, lines: height, lineStep: width, isAdjoint: true)
    return along(columns, count: height, step: width, lines: width, lineStep: 1, isAdjoint: true)
  }

  private func along(
    _ map: [Double], count: Int, step: Int, lines: Int, lineStep: Int, isAdjoint: Bool
  ) -> [Double] {
    var result = [Double](repeating: 0, count: map.count)
    for i in 0..<count {
      for (k, weight) in weights.enumerated() {
        guard let j = place(i + k - radius, count) else { continue }
        let (from, to) = isAdjoint ? (i, j) : (j, i)
        for line in 0..<lines { result[line * lineStep + to * step] += weight * map[line * lineStep + from * step] }
      }
    }
    return result
  }

  /// The pixel that stands for one at `i`, perhaps outside; nil for 0.
  private func place(_ i: Int, _ count: Int) -> Int? {
    if (0..<count).contains(i) { return i }
    guard border == .reflected else { return nil }
    if count == 1 { return 0 }
    let period = 2 * (count - 1)
    let folded = ((i % period) + period) % period
    return folded < count ? folded : period - folded
  }
}
