import Graph
import Tensors

/// Gradients of convolutions by what they convolve: a convolution's is the transposed convolution with the same
/// weights, and the other way round.
enum ConvolutionGradients {
  static let conv = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    try refuseWeights(e, node)
    let (x, w) = (try e.input(node, 0), try e.input(node, 1))
    guard try e.isActive(node, 0) else { return try bias(&e, node, dy) }
    let (from, kernel) = (Array(try e.shape(x)[2...]), Array(try e.shape(w)[2...]))
    var window = try Window(node, kernel: kernel)
    let spatial = try window.slide(over: from)
    // What no window covers, because the stride does not divide the rest, is the output's padding.
    let rest = from.indices.map {
      from[$0] - ((spatial[$0] - 1) * window.strides[$0] + window.reach($0) - window.padBegin[$0] - window.padEnd[$0])
    }
    let gradient = try e(
      "ConvTranspose", dy, w,
      attributes: attributes(node, window).merging(["output_padding": .ints(rest)]) { $1 })
    return [gradient] + (try bias(&e, node, dy)).dropFirst()
  }

  static let transposed = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    try refuseWeights(e, node)
    guard try e.isActive(node, 0) else { return try bias(&e, node, dy) }
    let (x, w) = (try e.input(node, 0), try e.input(node, 1))
    let (window, begins) = try ConvTranspose.window(e.request(node))
    let (from, to) = (try e.shape(x), try e.shape(dy))
    // Behind the input as much padding as the last window needs.
    let ends = window.kernel.indices.map { axis in
      (from[2 + axis] - 1) * window.strides[axis] + window.reach(axis) - begins[axis] - to[2 + axis]
    }
    // Pads below 0 cut; Conv has no such.
    let cut = (begins + ends).map { min($0, 0) }
    var padded = dy
    if cut.contains(where: { $0 < 0 }) {
      let axes = window.kernel.count
      padded = try e(
        "Pad", dy, e.constant([0, 0] + cut[..<axes] + [0, 0] + cut[axes...]), attributes: ["mode": .string("constant")])
    }
    var attributes = try attributes(node, window)
    attributes["pads"] = .ints((begins + ends).map { max($0, 0) })
    let gradient = try e("Conv", padded, w, attributes: attributes)
    return [gradient] + (try bias(&e, node, dy)).dropFirst()
  }

  private static func attributes(_ node: Node, _ window: Window) throws -> [String: Attribute] {
    [
      "group": .int(try node.int("group", default: 1)), "strides": .ints(window.strides),
      "dilations": .ints(window.dilations), "pads": .ints(window.padBegin + window.padEnd),
      "kernel_shape": .ints(window.kernel),
    ]
  }

  private static func refuseWeights(_ e: Emitter, _ node: Node) throws {
    guard try !e.isActive(node, 1) else {
      throw Failure(.unsupported, "its weights depend on the layer; the gradient by computed weights is not supported")
    }
  }

  /// By a computed bias: the sum over images and positions.
  private static func bias(_ e: inout Emitter, _ node: Node, _ dy: ValueID) throws -> [ValueID?] {
    guard try e.isActive(node, 2) else { return [nil, nil, nil] }
    let axes = try e.shape(dy).indices.filter { $0 != 1 }
    return [nil, nil, try e.reshape(e.reduce("ReduceSum", dy, axes: axes), e.shape(e.input(node, 2)))]
  }
}
