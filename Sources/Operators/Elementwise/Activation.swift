public import Graph
public import Kernels
import Tensors

/// An activation function by its ONNX name: a node of its own, or the end of a fused convolution, or a part of a
/// recurrent cell.
public struct Activation {
  public let function: Kernels.Unary

  /// Each activation's parameters in order, with their defaults.
  private static let parameters: [String: KeyValuePairs<String, Float>] = [
    "Relu": [:], "LeakyRelu": ["alpha": 0.01], "Elu": ["alpha": 1],
    "Selu": ["alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875], "Celu": ["alpha": 1],
    "ThresholdedRelu": ["alpha": 1], "Sigmoid": [:], "HardSigmoid": ["alpha": 0.2, "beta": 0.5], "HardSwish": [:],
    "Silu": [:], "Mish": [:], "Gelu": ["tanh": 0], "Softplus": [:], "Softsign": [:], "Tanh": [:],
  ]

  static let names = parameters.keys.sorted()

  /// In the order in which recurrent operators list their values.
  static func parameterNames(_ name: String) -> [String] { parameters[name]?.map(\.key) ?? [] }

  /// What the activation that a node computes needs beside its input; nil where it is none.
  public static func parameters(of node: Node) throws -> [Float]? {
    guard node.operation == "Gelu" else {
      return try parameters[node.operation]?.map { try node.float($0.key, default: $0.value) }
    }
    let form = try node.string("approximate", default: "none")
    guard form == "none" || form == "tanh" else {
      throw Failure(.invalidModel, "approximate is \(quoted(form)); expected none or tanh")
    }
    return [form == "tanh" ? 1 : 0]
  }

  /// The function that a node of this operator computes.
  public init(_ name: String, of node: Node) throws { try self.init(name, Self.parameters(of: node) ?? []) }

  /// `values` in the order of the operator's parameters; missing ones take their defaults. `Clip` (low, high) and
  /// `RoundToSteps` are known here too.
  init(_ name: String, _ values: [Float]) throws {
    let defaults: [Float] = name == "Clip" ? [-.infinity, .infinity] : Self.parameters[name]?.map(\.value) ?? []
    let p = values + defaults.dropFirst(values.count)
    switch name {
    case RoundToSteps.name where p.count == 5:
      function = .steps(factor: p[0], divisor: p[1], low: p[2], high: p[3], step: p[4])
    case "Relu": function = .relu
    case "Clip": function = .clip(min(p[0], p[1]), p[1])
    case "LeakyRelu": function = .leakyRelu(p[0])
    case "Elu": function = .elu(p[0])
    case "Selu": function = .selu(alpha: p[0], gamma: p[1])
    case "Celu": function = .celu(p[0])
    case "ThresholdedRelu": function = .thresholdedRelu(p[0])
    case "Sigmoid": function = .sigmoid
    case "HardSigmoid": function = .hardSigmoid(alpha: p[0], beta: p[1])
    case "HardSwish": function = .hardSwish
    case "Silu": function = .silu
    case "Mish": function = .mish
    case "Gelu": function = p[0] == 0 ? .gelu : .geluTanh
    case "Softplus": function = .softplus
    case "Softsign": function = .softsign
    case "Tanh": function = .tanh
    default: throw Failure(.unsupported, "the activation \(quoted(name)) is not supported")
    }
  }

  /// The activation at the end of a node of our own domain, from its attributes "activation" and "activation_parameters".
  static func fused(into node: Node) throws -> Kernels.Unary? {
    guard node.domain == "limpid", let name = try node.string("activation") else { return nil }
    if name == Composition.name { return try Composition.composition(node).function }
    return try Activation(name, node.floats("activation_parameters") ?? []).function
  }
}
