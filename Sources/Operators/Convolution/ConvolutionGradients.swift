import Graph
import Tensors

/// Gradients of convolutions. By what it convolves, a convolution's is the transposed convolution with the same
/// weights, and the other way round. By the weights it is a convolution too, of the input with the result's gradient.
enum ConvolutionGradients {
  static let conv = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
    let (x, w) = (try e.input(node, 0), try e.input(node, 1))
    let (from, kernel) = (Array(try e.shape(x)[2...]), Array(try e.shape(w)[2...]))
    var window = try Window(node, kernel: kernel)
    let spatial = try window.slide(over: from)
    var results = [ValueID?](repeating: nil, count: 3)
    if e.isActive(node, 0) {
      // What no window covers, because the stride does not divide the rest, is the output's padding.
      let rest = from.indices.map {
        from[$0] - ((spatial[$0] - 1) * window.strides[$0] + window.reach($0) - window.padBegin[$0] - window.padEnd[$0])
      }
      results[0] = try e(
        "ConvTranspose", dy, w,
        attributes: attributes(node, window).merging(["output_padding": .ints(rest)]) { $1 })
    }
    if e.isActive(node, 1) {
      results[1] = try weights(&e, node, x, dy, window, pads: window.padBegin + window.padEnd)
    }
    results[2] = try bias(&e, node, dy)
    return results
  }

  static let transposed = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
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
    let pads = (begins + ends).map { max($0, 0) }
    var results = [ValueID?](repeating: nil, count: 3)
    if e.isActive(node, 0) {
      results[0] = try e(
        "Conv", padded, w, attributes: attributes(node, window).merging(["pads": .ints(pads)]) { $1 })
    }
    // The convolution that it transposes takes the gradient to x.
    if e.isActive(node, 1) { results[1] = try weights(&e, node, padded, x, window, pads: pads) }
    results[2] = try bias(&e, node, dy)
    return results
  }

  private static func attributes(_ node: Node, _ window: Window) throws -> [String: Attribute] {
    [
      "group": .int(try node.int("group", default: 1)), "strides": .ints(window.strides),
      "dilations": .ints(window.dilations), "pads": .ints(window.padBegin + window.padEnd),
      "kernel_shape": .ints(window.kernel),
    ]
  }

  /// For y = conv(x, w): Σ over images and windows of x·dy, which is a convolution over x with dy as its kernel, images
  /// in the place of channels and channels in that of images; strides and dilations change places.
  private static func weights(
    _ e: inout Emitter, _ node: Node, _ x: ValueID, _ dy: ValueID, _ window: Window, pads: [Int]
  ) throws -> ValueID {
    let (from, to) = (try e.shape(x), try e.shape(dy))
    let groups = try node.int("group", default: 1)
    let axes = Array(2..<from.count)
    let (images, channels) = (from[0], from[1] / max(1, groups))
    let split = try e.reshape(x, [images, groups, channels] + from[2...])
    let source = try e.reshape(
      e.transpose(split, [2, 1, 0] + axes.map { $0 + 1 }), [channels, groups * images] + from[2...])
    let kernel = try e.transpose(dy, [1, 0] + axes)
    let found = try e(
      "Conv", source, kernel,
      attributes: [
        "group": .int(groups), "strides": .ints(window.dilations), "dilations": .ints(window.strides),
        "pads": .ints(pads), "kernel_shape": .ints(Array(to[2...])),
      ])
    // Where the stride leaves a rest of the input, places behind the kernel come out too.
    let cut = try e(
      "Slice", found, e.constant(axes.map { _ in 0 }), e.constant(window.kernel), e.constant(axes))
    return try e.transpose(cut, [1, 0] + axes)
  }

  /// By a computed bias: the sum over images and positions.
  private static func bias(_ e: inout Emitter, _ node: Node, _ dy: ValueID) throws -> ValueID? {
    guard e.isActive(node, 2) else { return nil }
    let axes = try e.shape(dy).indices.filter { $0 != 1 }
    return try e.reshape(e.reduce("ReduceSum", dy, axes: axes), e.shape(e.input(node, 2)))
  }
}
