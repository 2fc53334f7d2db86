import Glibc

/// How the end of a graph makes probabilities of logits.
public struct Link: Sendable, Hashable {
  enum Function: Hashable {
    case softmax, sigmoid
    /// The straight line slope · z + offset, cut off at 0 and 1.
    case hardSigmoid(slope: Double, offset: Double)
  }

  var function: Function
  /// What the probabilities are cut off at, as by a Clip behind them.
  var bounds: ClosedRange<Double> = -.infinity ... .infinity

  static let softmax = Link(function: .softmax), sigmoid = Link(function: .sigmoid)

  /// Of a single logit: what it gives, and, as a function of the negative logit, what that leaves.
  var single: (own: Link, rest: Link) {
    let left = 1 - bounds.upperBound...1 - bounds.lowerBound
    switch function {
    case .softmax:  // 1, whatever the logit is
      return (
        Link(function: .hardSigmoid(slope: 0, offset: 1), bounds: bounds),
        Link(function: .hardSigmoid(slope: 0, offset: 0), bounds: left)
      )
    case .sigmoid: return (self, Link(function: .sigmoid, bounds: left))
    case .hardSigmoid(let slope, let offset):
      return (self, Link(function: .hardSigmoid(slope: slope, offset: 1 - offset), bounds: left))
    }
  }

  func probabilities(_ z: [Double]) -> [Double] { uncut(z).map { min(max($0, bounds.lowerBound), bounds.upperBound) } }

  /// Not the logarithms of the probabilities, which may be 0 where these are not.
  func logarithms(_ z: [Double]) -> [Double] {
    let (low, high) = (log(max(0, bounds.lowerBound)), log(max(0, bounds.upperBound)))
    return uncutLogarithms(z).map { min(max($0, low), high) }
  }

  /// The derivative of probability `i` by each of the logits.
  func gradient(_ z: [Double], _ i: Int) -> [Double] {
    let p = uncut(z)
    guard bounds.contains(p[i]) else { return z.map { _ in 0 } }
    switch function {
    case .softmax: return p.indices.map { p[i] * (($0 == i ? 1 : 0) - p[$0]) }
    case .sigmoid: return only(i, of: z, p[i] * (1 - p[i]))
    case .hardSigmoid(let slope, _): return only(i, of: z, p[i] > 0 && p[i] < 1 ? slope : 0)
    }
  }

  /// The derivative of the logarithm of probability `i` by each of the logits.
  func logarithmGradient(_ z: [Double], _ i: Int) -> [Double] {
    let p = uncut(z)
    guard bounds.contains(p[i]) else { return z.map { _ in 0 } }
    switch function {
    case .softmax: return p.indices.map { ($0 == i ? 1 : 0) - p[$0] }
    case .sigmoid: return only(i, of: z, 1 - p[i])
    case .hardSigmoid(let slope, _): return only(i, of: z, p[i] > 0 && p[i] < 1 ? slope / p[i] : 0)
    }
  }

  private func only(_ i: Int, of z: [Double], _ derivative: Double) -> [Double] {
    z.indices.map { $0 == i ? derivative : 0 }
  }

  private func uncut(_ z: [Double]) -> [Double] {
    switch function {
    case .softmax:
      let largest = z.max() ?? 0
      let powers = z.map { exp($0 - largest) }
      let sum = powers.reduce(0, +)
      return powers.map { $0 / sum }
    case .sigmoid: return z.map { 1 / (1 + exp(-$0)) }
    case .hardSigmoid(let slope, let offset): return z.map { min(max(slope * $0 + offset, 0), 1) }
    }
  }

  private func uncutLogarithms(_ z: [Double]) -> [Double] {
    guard function == .softmax else { return uncut(z).map { log($0) } }
    let largest = z.max() ?? 0
    let sum = log(z.reduce(0.0) { $0 + exp($1 - largest) })
    return z.map { $0 - largest - sum }
  }
}
