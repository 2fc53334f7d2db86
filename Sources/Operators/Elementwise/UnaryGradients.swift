import Graph

/// Derivatives of functions of one number. Those of ReLU and its kin at their kinks are PyTorch's.
enum UnaryGradients {
  static func rule(_ operation: String) -> GradientRule? {
    switch operation {
    // By what they give.
    case "Relu": byOutput { e, y, dy, _ in try e.pass(dy, where: y, isAbove: 0) }
    case "Sigmoid": byOutput { e, y, dy, _ in try e.multiply(dy, e.multiply(y, e.oneMinus(y))) }
    case "Tanh": byOutput { e, y, dy, _ in try e.multiply(dy, e.oneMinus(e.multiply(y, y))) }
    case "Exp": byOutput { e, y, dy, _ in try e.multiply(dy, y) }
    case "Sqrt": byOutput { e, y, dy, _ in try e.divide(e.scaled(dy, by: 0.5), y) }
    case "Reciprocal": byOutput { e, y, dy, _ in try e("Neg", e.multiply(dy, e.multiply(y, y))) }
    case "LeakyRelu":
      byInput { e, x, dy, node in
        try e.pick(e.isAbove(0, x), dy, else: e.scaled(dy, by: node.float("alpha", default: 0.01)))
      }
    case "Elu":
      byInput { e, x, dy, node in
        let alpha = try node.float("alpha", default: 1)
        return try e.pick(e.isAbove(0, x), dy, else: e.multiply(dy, e.scaled(e("Exp", x), by: alpha)))
      }
    case "Selu":
      byInput { e, x, dy, node in
        let alpha = try node.float("alpha", default: 1.67326319217681884765625)
        let gamma = try node.float("gamma", default: 1.05070102214813232421875)
        let scaled = try e.scaled(dy, by: gamma)
        return try e.pick(e.isAbove(0, x), scaled, else: e.multiply(scaled, e.scaled(e("Exp", x), by: alpha)))
      }
    case "Celu":
      byInput { e, x, dy, node in
        let alpha = try node.float("alpha", default: 1)
        return try e.pick(e.isAbove(0, x), dy, else: e.multiply(dy, e("Exp", e.scaled(x, by: 1 / alpha))))
      }
    case "ThresholdedRelu":
      byInput { e, x, dy, node in
        try e.pick(e.isAbove(node.float("alpha", default: 1), x), dy, else: e.constant(Float(0)))
      }
    case "HardSigmoid":
      byInput { e, x, dy, node in
        let (alpha, beta) = (try node.float("alpha", default: 0.2), try node.float("beta", default: 0.5))
        let line = try e.adding(beta, to: e.scaled(x, by: alpha))
        return try e.pass(e.scaled(dy, by: alpha), where: line, isAbove: 0, below: 1)
      }
    case "HardSwish":
      // x·h(x), h = clamp(x/6 + 1/2, 0, 1): h + x/6 between −3 and 3.
      byInput { e, x, dy, _ in
        let h = try e("HardSigmoid", x, attributes: ["alpha": .float(1 / 6), "beta": .float(0.5)])
        let rising = try e.pass(e.multiply(dy, e.scaled(x, by: 1 / 6)), where: x, isAbove: -3, below: 3)
        return try e.add(e.multiply(dy, h), rising)
      }
    case "Silu": byInput { e, x, dy, _ in try e.multiply(dy, e.siluDerivative(x, alpha: 1)) }
    case "Swish":
      byInput { e, x, dy, node in try e.multiply(dy, e.siluDerivative(x, alpha: node.float("alpha", default: 1))) }
    case "Mish":
      // x·t, t = tanh(softplus x): t + x·(1 − t²)·σ(x)
      byInput { e, x, dy, _ in
        let t = try e("Tanh", e("Softplus", x))
        let slope = try e.multiply(e.multiply(x, e.oneMinus(e.multiply(t, t))), e("Sigmoid", x))
        return try e.multiply(dy, e.add(t, slope))
      }
    case "Gelu": byInput { e, x, dy, node in try e.multiply(dy, e.geluDerivative(x, node)) }
    case "Softplus": byInput { e, x, dy, _ in try e.multiply(dy, e("Sigmoid", x)) }
    case "Softsign":
      byInput { e, x, dy, _ in
        let below = try e.adding(1, to: e("Abs", x))
        return try e.divide(dy, e.multiply(below, below))
      }
    case "Erf":
      // 2/√π·exp(−x²)
      byInput { e, x, dy, _ in
        try e.multiply(dy, e.scaled(e("Exp", e("Neg", e.multiply(x, x))), by: 1.1283791670955126))
      }
    case "Log": byInput { e, x, dy, _ in try e.divide(dy, x) }
    case "Neg": byInput { e, _, dy, _ in try e("Neg", dy) }
    case "Abs": byInput { e, x, dy, _ in try e.multiply(dy, e("Sign", x)) }
    case "Sign", "Floor", "Ceil", "Round": .constant
    case "Sin": byInput { e, x, dy, _ in try e.multiply(dy, e("Cos", x)) }
    case "Cos": byInput { e, x, dy, _ in try e("Neg", e.multiply(dy, e("Sin", x))) }
    case "Tan": byOutput { e, y, dy, _ in try e.multiply(dy, e.adding(1, to: e.multiply(y, y))) }
    case "Asin": byInput { e, x, dy, _ in try e.divide(dy, e("Sqrt", e.oneMinus(e.multiply(x, x)))) }
    case "Acos": byInput { e, x, dy, _ in try e("Neg", e.divide(dy, e("Sqrt", e.oneMinus(e.multiply(x, x))))) }
    case "Atan": byInput { e, x, dy, _ in try e.divide(dy, e.adding(1, to: e.multiply(x, x))) }
    case "Sinh": byInput { e, x, dy, _ in try e.multiply(dy, e("Cosh", x)) }
    case "Cosh": byInput { e, x, dy, _ in try e.multiply(dy, e("Sinh", x)) }
    case "Asinh": byInput { e, x, dy, _ in try e.divide(dy, e("Sqrt", e.adding(1, to: e.multiply(x, x)))) }
    case "Acosh": byInput { e, x, dy, _ in try e.divide(dy, e("Sqrt", e.adding(-1, to: e.multiply(x, x)))) }
    case "Atanh": byInput { e, x, dy, _ in try e.divide(dy, e.oneMinus(e.multiply(x, x))) }
    default: nil
    }
  }

  /// Between the bounds, ends excluded, as PyTorch's ReLU6 and hardtanh (its clamp includes them): told by the result,
  /// so that the forward pass stays fused.
  static let clip = byOutput { e, y, dy, node in
    let (low, high) = try Unary.clipBounds(e.request(node))
    return try e.pass(dy, where: y, isAbove: low, below: high)
  }

  /// Where |x| is above the limit the slope is 1.
  static let shrink = byInput { e, x, dy, node in
    let isAbove = try e.isAbove(node.float("lambd", default: 0.5), e("Abs", x))
    return try e.pick(isAbove, dy, else: e.constant(Float(0)))
  }

  typealias Derivative = @Sendable (inout Emitter, _ value: ValueID, _ dy: ValueID, Node) throws -> ValueID

  private static func byInput(_ derivative: @escaping Derivative) -> GradientRule {
    .unary { e, node, dy in try derivative(&e, e.input(node, 0), dy, node) }
  }

  private static func byOutput(_ derivative: @escaping Derivative) -> GradientRule {
    .unary { e, node, dy in try derivative(&e, e.output(node), dy, node) }
  }
}

extension Emitter {
  mutating func oneMinus(_ x: ValueID) throws -> ValueID { try subtract(constant(Float(1)), x) }
  mutating func isAbove(_ limit: Float, _ x: ValueID) throws -> ValueID { try self("Greater", x, constant(limit)) }

  /// Of x·σ(αx): s + αx·s·(1 − s)
  fileprivate mutating func siluDerivative(_ x: ValueID, alpha: Float) throws -> ValueID {
    let s = try self("Sigmoid", scaled(x, by: alpha))
    return try add(s, multiply(scaled(multiply(x, s), by: alpha), oneMinus(s)))
  }

  /// Of x·Φ(x): Φ + x·φ; of the form with tanh of u = √(2/π)(x + 0.044715x³): (1 + t)/2 + x(1 − t²)u′/2.
  fileprivate mutating func geluDerivative(_ x: ValueID, _ node: Node) throws -> ValueID {
    let square = try multiply(x, x)
    if try node.string("approximate", default: "none") == "tanh" {
      let (root, cubic): (Float, Float) = (0.7978845608028654, 0.044715)
      let u = try scaled(multiply(x, adding(1, to: scaled(square, by: cubic))), by: root)
      let slope = try scaled(adding(1, to: scaled(square, by: 3 * cubic)), by: root)
      let t = try self("Tanh", u)
      let rising = try multiply(multiply(x, oneMinus(multiply(t, t))), slope)
      return try scaled(add(adding(1, to: t), rising), by: 0.5)
    }
    let cumulative = try scaled(adding(1, to: self("Erf", scaled(x, by: 0.7071067811865476))), by: 0.5)
    let density = try scaled(self("Exp", scaled(square, by: -0.5)), by: 0.3989422804014327)
    return try add(cumulative, multiply(x, density))
  }
}
