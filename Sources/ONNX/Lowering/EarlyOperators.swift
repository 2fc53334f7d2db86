// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// ONNX's operators as they were before version 7, and others that are gone.
extension Lowering {
  /// For nodes of versions below 7.
  static let earlyRules: [String: Rule] = {
    let pairs = ["Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"]
    var rules = Dictionary(uniqueKeysWithValues: pairs.map { ($0, aligned) })
    rules["PRelu"] = { try $0.align($1, axis: 1) }
    rules["Gemm"] = { $0.keep($1, without: ["broadcast"]) }
    rules["Concat"] = { $0.keep($1, default: ("axis", .int(1)), below: 4) }
    rules["Pad"] = { $0.keep($1, renaming: ("paddings", "pads")) }
    rules["Selu"] = { lowering, node in
      var node = node
      if lowering.version(of: node) < 6 {
        node.attributes.merge(["alpha": .float(1.6732), "gamma": .float(1.0507)]) { given, _ in given }
      }
      lowering.add(node)
    }
    rules["Cast"] = namedCast
    rules["Upsample"] = planeUpsample
    rules["Tile"] = { lowering, node in
      if lowering.version(of: node) < 6 { throw Failure(.unsupported, "its form before version 6 is not supported") }
      lowering.add(node)
    }
    for name in ["RNN", "GRU", "LSTM"] {
      rules[name] = { lowering, node in
        if node.attributes["output_sequence"] != nil {
          throw Failure(.unsupported, "its form before version 7, with output_sequence, is not supported")
        }
        lowering.add(node)
      }
    }
    return rules
  }()

  /// For nodes of any version.
  static let retiredRules: [String: Rule] = [
    "ImageScaler": imageScaler, "SimplifiedLayerNormalization": simplifiedNormalization,
    "Affine": { lowering, node in
      let scale = try lowering.constant(node.float("alpha", default: 1))
      let shift = try lowering.constant(node.float("beta", default: 0))
      let x = lowering.emit("Mul", [try lowering.input(node, 0), scale])
      lowering.emit("Add", [x, shift], to: node.output(0))
    },
    "ScaledTanh": { lowering, node in
      guard let alpha = try node.float("alpha"), let beta = try node.float("beta") else {
        throw Failure(.invalidModel, "alpha or beta is missing")
      }
      let x = lowering.emit("Mul", [try lowering.input(node, 0), try lowering.constant(beta)])
      lowering.emit("Mul", [lowering.emit("Tanh", [x]), try lowering.constant(alpha)], to: node.output(0))
    },
    "ParametricSoftplus": { lowering, node in
      guard let alpha = try node.float("alpha"), let beta = try node.float("beta") else {
        throw Failure(.invalidModel, "alpha or beta is missing")
      }
      let x = lowering.emit("Mul", [try lowering.input(node, 0), try lowering.constant(beta)])
      lowering.emit("Mul", [lowering.emit("Softplus", [x]), try lowering.constant(alpha)], to: node.output(0))
    },
    "Swish": { lowering, node in
      let alpha = try node.float("alpha", default: 1)
      if alpha == 1 { lowering.add(node) } else { try lowering.swish(node, alpha: alpha) }
    },
  ]

  // MARK: Reductions over no axes

  /// With noop_with_empty_axes and without axes each element is reduced by itself: the plain function says so to all.
  static let reductionRules: [String: Rule] = {
    let functions = [
      "ReduceL1": "Abs", "ReduceL2": "Abs", "ReduceLogSum": "Log", "ReduceLogSumExp": "Identity",
      "ReduceSumSquare": "Mul",
    ]
    return functions.mapValues { function in
      { lowering, node in
        let axes = node.input(1)
        let isEmpty = axes.map { lowering.graph.constants[$0]?.count == 0 } ?? (node.attributes["axes"] == nil)
        guard try isEmpty && node.flag("noop_with_empty_axes") else { return lowering.add(node) }
        let x = try lowering.input(node, 0)
        lowering.emit(function, function == "Mul" ? [x, x] : [x], to: node.output(0))
      }
    }
  }()

  // MARK: Broadcasting before version 7

  private static func aligned(_ lowering: inout Lowering, _ node: Node) throws {
    let axis = try node.int("axis")
    guard try node.flag("broadcast"), let axis else { return lowering.keep(node, without: ["broadcast", "axis"]) }
    try lowering.align(node, axis: axis)
  }

  /// Puts the axes of input 1 beside those of input 0 that begin at `axis`: with axes of extent 1 behind them, today's
  /// rule does the same. Whatever the ranks are, the shapes are computed while a plan is made.
  private mutating func align(_ node: Node, axis: Int) throws {
    let (a, b) = (try input(node, 0), try input(node, 1))
    func rank(_ value: ValueID) -> ValueID { emit("Shape", [emit("Shape", [value])]) }
    let first = axis < 0 ? emit("Add", [rank(a), try constant([axis])]) : try constant([axis])
    let behind = emit("Sub", [emit("Sub", [rank(a), first]), rank(b)])
    // A slope that is shared needs no place.
    let count = emit("Max", [behind, try constant([0])])
    let ones = emit("ConstantOfShape", [count], ["value": .tensor(try Tensor([Int64(1)], [1]))])
    let shape = emit("Concat", [emit("Shape", [b]), ones], ["axis": .int(0)])
    let placed = emit("Reshape", [b, shape])
    var plain = node
    plain.inputs[1] = placed
    keep(plain, without: ["broadcast", "axis"])
  }

  /// Adds the node with its attributes as later versions have them.
  private mutating func keep(
    _ node: Node, without removed: [String] = [], renaming: (from: String, to: String)? = nil,
    default fallback: (key: String, value: Attribute)? = nil, below version: Int = .max
  ) {
    var copy = node
    for key in removed { copy.attributes[key] = nil }
    if let renaming, let value = copy.attributes.removeValue(forKey: renaming.from) {
      copy.attributes[renaming.to] = value
    }
    if let fallback, self.version(of: node) < version, copy.attributes[fallback.key] == nil {
      copy.attributes[fallback.key] = fallback.value
    }
    add(copy)
  }

  /// Before version 6 the type is given by name.
  private static func namedCast(_ lowering: inout Lowering, _ node: Node) throws {
    guard case .string(let name)? = node.attributes["to"] else { return lowering.add(node) }
    let types: [String: ElementType] = [
      "FLOAT": .float32, "UINT8": .uint8, "INT8": .int8, "UINT16": .uint16, "INT16": .int16, "INT32": .int32,
      "INT64": .int64, "BOOL": .bool, "FLOAT16": .float16, "DOUBLE": .float64, "UINT32": .uint32, "UINT64": .uint64,
    ]
    guard let type = types[name] else {
      throw Failure(.unsupported, "elements of type \(quoted(name)) are not supported")
    }
    var cast = node
    cast.attributes["to"] = .int(Int(type.rawValue))
    lowering.add(cast)
  }

  /// Version 1 gives the scales of the two spatial axes.
  private static func planeUpsample(_ lowering: inout Lowering, _ node: Node) throws {
    guard let height = try node.float("height_scale"), let width = try node.float("width_scale") else {
      return lowering.add(node)
    }
    let mode = try node.string("mode", default: "nearest")
    lowering.add(
      Node(
        "Upsample", name: node.name, inputs: node.inputs, outputs: node.outputs,
        attributes: ["scales": .floats([1, 1, height, width]), "mode": .string(mode)], version: 7))
  }

  /// `scale x + bias`, with a bias for each channel of [N, C, H, W].
  private static func imageScaler(_ lowering: inout Lowering, _ node: Node) throws {
    let scaled = lowering.emit(
      "Mul", [try lowering.input(node, 0), try lowering.constant(node.float("scale", default: 1))])
    let bias = try node.floats("bias") ?? [0]
    let channels = lowering.constant(try Tensor(bias, Shape(trusted: [bias.count, 1, 1])))
    lowering.emit("Add", [scaled, channels], to: node.output(0))
  }
}
