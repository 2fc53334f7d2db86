/// Adam (Kingma & Ba, ICLR 2015) with β 0.9 and 0.999, ε 1e-8, both moments corrected for their start at 0.
struct Adam {
  private(set) var values: [Double]
  private let rate: Double
  private var means: [Double]
  private var squares: [Double]
  private var decay = (first: 1.0, second: 1.0)

  init(_ values: [Double], rate: Double) {
    self.values = values
    self.rate = rate
    means = [Double](repeating: 0, count: values.count)
    squares = means
  }

  mutating func step(_ gradient: [Double]) {
    decay = (decay.first * 0.9, decay.second * 0.999)
    for i in values.indices {
      means[i] = 0.9 * means[i] + 0.1 * gradient[i]
      squares[i] = 0.999 * squares[i] + 0.001 * gradient[i] * gradient[i]
      let root = (squares[i] / (1 - decay.second)).squareRoot()
      values[i] -= rate * means[i] / (1 - decay.first) / (root + 1e-8)
    }
  }
}

/// Gradient descent with momentum, of which `dampening` is taken off what each gradient adds, but for the first; the
/// values stay within 0…1, and where the gradient is no number.
struct Momentum {
  private(set) var values: [Double]
  private let rate: Double
  private let momentum: Double
  private let dampening: Double
  private var buffer: [Double]?

  init(_ values: [Double], rate: Double, momentum: Double, dampening: Double) {
    self.values = values
    (self.rate, self.momentum, self.dampening) = (rate, momentum, dampening)
  }

  mutating func step(_ gradient: [Double]) {
    let moved = buffer.map { zip($0, gradient).map { momentum * $0 + (1 - dampening) * $1 } } ?? gradient
    for i in values.indices where moved[i].isFinite { values[i] = min(max(values[i] - rate * moved[i], 0), 1) }
    buffer = moved
  }
}
