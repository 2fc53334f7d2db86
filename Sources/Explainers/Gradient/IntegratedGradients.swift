import Explanations
import Glibc
import Models
import Tensors
import Transforms

/// Integrated gradients (Sundararajan, Taly & Yan, ICML 2017, eq. 1): (x − b)·∫ ∂y/∂x(b + t(x − b)) dt, by a quadrature
/// of `steps` points. Where the quadrature is fine enough, the attributions sum to y(x) − y(b).
struct IntegratedGradients: Explainer {
  enum Quadrature: String, CaseIterable {
    case gaussLegendre = "gauss-legendre"
    case trapezoid
    case left, right, middle
  }

  let name = "integrated-gradients"
  let summary = "Gradients summed along the way from a baseline to the image: attributions that add up to the score."
  let parameters =
    Target.parameters + [
      Parameter("steps", default: 50, in: 1...2000, "Points of the quadrature."),
      Parameter("quadrature", default: Quadrature.gaussLegendre, "How the points lie between baseline and image."),
      Parameter(
        "value", default: 0, in: -1e6...1e6, "The baseline, where none is fed, in the space that the model is fed in."
      ).read(withoutDraws: "baseline"),
      Attribution.colorsParameter,
      Parameter("compat", choices: ["none", "captum"], default: "none", Compat.summary),
    ]
  let draws =
    Target.draws + [Draw("baseline", "[channels, height, width]: where the path begins, as the model is fed.")]

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let points = try Self.points(request.settings.choice("quadrature"), request.settings.integer("steps"))
    let colors: Attribution.Colors = try request.settings.choice("colors")
    let value = Float(try request.settings.number("value"))
    let given = try request.draw("baseline", [nil, nil, nil])?.array(of: Float.self)
    func baseline(_ i: Int, of count: Int) throws -> Float {
      guard let given else { return value }
      guard given.count == count else {
        throw Failure(.invalidArgument, "the baseline has \(given.count) numbers; the input has \(count)")
      }
      return given[i]
    }
    let variants = InputVariants(count: points.count) { _, point, values in
      for i in values.indices {
        let start = try baseline(i, of: values.count)
        values[i] = start + points[point].place * (values[i] - start)
      }
    }
    return try request.explainInputs(variants) { attribution, gradient, point in
      for i in gradient.indices { attribution[i] += points[point].weight * gradient[i] }
    } finish: { attribution, image in
      var attribution = attribution
      for i in image.indices { attribution.values[i] *= image[i] - (try baseline(i, of: image.count)) }
      return try attribution.drawn(colors)
    }
  }

  /// Places between 0 and 1, and weights that sum to 1.
  static func points(_ quadrature: Quadrature, _ count: Int) -> [(place: Float, weight: Float)] {
    let n = Double(count)
    switch quadrature {
    case .gaussLegendre: return gaussLegendre(count)
    case .left: return (0..<count).map { (Float(Double($0) / n), Float(1 / n)) }
    case .right: return (1...count).map { (Float(Double($0) / n), Float(1 / n)) }
    case .middle: return (0..<count).map { (Float((Double($0) + 0.5) / n), Float(1 / n)) }
    case .trapezoid:
      if count == 1 { return [(0.5, 1)] }
      return (0..<count).map { i in
        (Float(Double(i) / (n - 1)), Float((i == 0 || i == count - 1 ? 0.5 : 1) / (n - 1)))
      }
    }
  }

  /// The roots of the Legendre polynomial of degree `count` by Newton's method, and their weights, brought to 0…1.
  private static func gaussLegendre(_ count: Int) -> [(place: Float, weight: Float)] {
    let n = Double(count)
    return (0..<count).map { i in
      var x = -cos(Double.pi * (Double(i) + 0.75) / (n + 0.5))
      var slope = 0.0
      for _ in 0..<100 {
        var (last, value) = (0.0, 1.0)
        for k in 0..<count {
          let k = Double(k)
          (last, value) = (value, ((2 * k + 1) * x * value - k * last) / (k + 1))
        }
        slope = n * (x * value - last) / (x * x - 1)
        let step = value / slope
        x -= step
        if abs(step) < 1e-15 { break }
      }
      return (Float((x + 1) / 2), Float(1 / ((1 - x * x) * slope * slope)))
    }
  }
}
