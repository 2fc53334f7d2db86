import Explanations
import Graph
import Models
import Operators
import Tensors
import Transforms

/// Methods of one backward pass to the input. The attribution of every colour is in `details["attribution"]`.
struct InputGradientMethod: Explainer {
  enum Form: Sendable { case gradient, inputTimesGradient }

  let name: String
  let summary: String
  let form: Form
  var rules = GradientRules.standard
  var isAbsolute = false
  var colors = Attribution.Colors.sum

  var parameters: [Parameter] {
    Target.parameters + [
      Parameter(
        "absolute", choices: ["yes", "no"], default: isAbsolute ? "yes" : "no",
        "Whether the attributions lose their signs: how much a value matters, not which way."),
      Parameter("colors", default: colors, Attribution.colorsParameter.summary),
      Parameter("compat", choices: ["none", "captum"], default: "none", Compat.summary),
    ]
  }

  var draws: [Draw] { Target.draws }

  func canExplain(_ model: Model) -> Bool { model.hasDifferentiableInput }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let isAbsolute = try request.settings.word("absolute") == "yes"
    let colors: Attribution.Colors = try request.settings.choice("colors")
    return try request.explainInputs(InputVariants(), rules: rules) { attribution, gradient, _ in
      for i in gradient.indices { attribution[i] = gradient[i] }
    } finish: { attribution, image in
      var attribution = attribution
      for i in attribution.values.indices {
        if form == .inputTimesGradient { attribution.values[i] *= image[i] }
        if isAbsolute { attribution.values[i] = abs(attribution.values[i]) }
      }
      return try attribution.drawn(colors)
    }
  }
}

extension InputGradientMethod {
  /// Simonyan, Vedaldi & Zisserman, ICLR Workshops 2014, "Deep inside convolutional networks": |∂y/∂x|, of each pixel
  /// the largest of its colours (section 3.1).
  static let saliency = InputGradientMethod(
    name: "saliency", summary: "How much the score changes with each pixel: the size of its gradient.",
    form: .gradient, isAbsolute: true, colors: .maximum)

  /// Shrikumar et al., 2016, "Not just a black box": x·∂y/∂x, in the space that the model is fed in.
  static let inputTimesGradient = InputGradientMethod(
    name: "input-x-gradient",
    summary: "Each pixel's gradient times its value: what it adds to the score, to first order.",
    form: .inputTimesGradient)

  /// Springenberg et al., ICLR Workshops 2015, "Striving for simplicity": at a ReLU only positive gradients of positive
  /// values go on. A ReLU is also what is bounded above (ReLU6, a Clip from 0): what is cut off there has the gradient
  /// 0. Other activations keep their derivative.
  static let guidedBackpropagation = InputGradientMethod(
    name: "guided-backprop",
    summary: "The gradient with all negative parts dropped at each ReLU: sharp pictures of edges, hardly of the class.",
    form: .gradient,
    rules: GradientRules(
      "guided",
      overriding: [
        "Relu": .emitted { e, node, gradients in
          guard let dy = gradients.first ?? nil else { return [] }
          return [try e.pass(e("Relu", dy), where: e.output(node), isAbove: 0)]
        },
        "Clip": bounded { e, node, dy in try derivativeOfClip(&e, node, e("Relu", dy)) },
      ]))

  /// Zeiler & Fergus, ECCV 2014, "Visualizing and understanding convolutional networks", section 2.1: at a ReLU
  /// (bounded above or not) only positive gradients go on, whatever the value was.
  static let deconvolution = InputGradientMethod(
    name: "deconvolution",
    summary: "The gradient with its negative parts dropped at each ReLU, whatever passed forward.",
    form: .gradient,
    rules: GradientRules(
      "deconvolution",
      overriding: [
        "Relu": .emitted { e, _, gradients in
          guard let dy = gradients.first ?? nil else { return [] }
          return [try e("Relu", dy)]
        },
        "Clip": bounded { e, _, dy in [try e("Relu", dy)] },
      ]))

  /// The rule of Clip that is `rule` where it is a ReLU bounded above, and its derivative where it is not.
  private static func bounded(
    _ rule: @escaping @Sendable (inout Emitter, Node, _ dy: ValueID) throws -> [ValueID?]
  ) -> GradientRule {
    .emitted { e, node, gradients in
      guard let dy = gradients.first ?? nil else { return [] }
      let low = try e.constant(node, 1)?.floats().array(of: Float.self).first
      let isRectifier = try (low ?? node.float("min", default: -.infinity)) == 0
      return isRectifier ? try rule(&e, node, dy) : try derivativeOfClip(&e, node, dy)
    }
  }

  private static func derivativeOfClip(_ e: inout Emitter, _ node: Node, _ dy: ValueID) throws -> [ValueID?] {
    guard case .emitted(let rule)? = GradientRules.standard.rule(for: node) else {
      throw Failure(.internal, "Clip has no derivative")
    }
    return try rule(&e, node, [dy])
  }
}
