import Explanations
import Models
import Tensors
import Transforms

/// SmoothGrad (Smilkov et al., 2017, "Removing noise by adding noise") and its kin: statistics of the gradients of
/// copies of the image with normal noise. Squares: Hooker et al., NeurIPS 2019; variance: Adebayo et al., NeurIPS 2018
/// (by n, not n − 1).
///
/// `std` is in the units that the model is fed in. Every image has the noise of stream 0, copy after copy. captum
/// takes the absolute value of each gradient before all else; our default keeps the sign.
struct SmoothGrad: Explainer {
  enum Statistic: String, CaseIterable {
    case mean = "smoothgrad"
    case squares = "smoothgrad_sq"
    case variance = "vargrad"
  }

  let name = "smooth-grad"
  let summary = "Gradients averaged over copies of the image with noise, so that they hold for what looks alike."
  let parameters =
    Target.parameters + [
      Parameter("samples", default: 25, in: 1...10000, "Copies with noise."),
      Parameter(
        "std", default: 0.15, in: 0...1e6, "Standard deviation of the noise, in the space that the model is fed in."),
      Parameter(
        "statistic", default: Statistic.mean, "The mean of the gradients, that of their squares, or their variance."),
      Parameter(
        "absolute", choices: ["auto", "yes", "no"], default: "auto",
        "Whether each gradient loses its sign before; auto: only with compat=captum."),
      Attribution.colorsParameter,
      Parameter("compat", choices: ["none", "captum"], default: "none", Compat.summary),
    ]
  let draws = Target.draws + [Noise.draw]
  let drawsNumbers = true

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let settings = request.settings
    let statistic: Statistic = try settings.choice("statistic")
    let absolute = try settings.word("absolute")
    let isAbsolute = try absolute == "yes" || absolute == "auto" && settings.word("compat") == "captum"
    let colors: Attribution.Colors = try settings.choice("colors")
    let noise = try Noise(request, samples: settings.integer("samples"), std: Float(settings.number("std")))
    let share = 1 / Float(noise.samples)
    return try request.explainInputs(
      InputVariants(count: noise.samples) { _, sample, values in try noise.add(sample, values) }, moments: 2
    ) {
      sum, gradient, _ in
      let count = gradient.count
      for i in 0..<count {
        let value = isAbsolute ? abs(gradient[i]) : gradient[i]
        sum[i] += share * value
        sum[count + i] += share * value * value
      }
    } finish: { attribution, image in
      let (means, squares) = (attribution.values[..<image.count], attribution.values[image.count...])
      var result = attribution
      switch statistic {
      case .mean: result.values = Array(means)
      case .squares: result.values = Array(squares)
      case .variance: result.values = zip(means, squares).map { $1 - $0 * $0 }
      }
      return try result.drawn(colors)
    }
  }
}
