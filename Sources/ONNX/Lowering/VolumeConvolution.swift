// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Convolutions over three spatial axes, written as convolutions over the last two: for Conv, the slices of the input
/// that a window sees along the depth become further channels; for ConvTranspose, the convolution gives all slices that
/// a slice of the input spreads to, which are then moved to their depths and added.
extension Lowering {
  static let volumeRules: [String: Rule] = [
    "Conv": { lowering, node in
      guard let weights = lowering.volumeWeights(node) else { return lowering.add(node) }
      try lowering.convolve(node, weights)
    },
    "ConvTranspose": { lowering, node in
      guard let weights = lowering.volumeWeights(node) else { return lowering.add(node) }
      try lowering.convolveTransposed(node, weights)
    },
  ]

  private func volumeWeights(_ node: Node) -> Shape? {
    guard let shape = node.input(1).flatMap(weightShape), shape.rank == 5, shape.count > 0 else { return nil }
    return shape
  }

  /// The window along the depth, and the attributes of the convolution over the other two axes.
  private struct Depth {
    let kernel, stride, dilation, begin, end, outputPadding: Int
    var plane: [String: Attribute]

    init(_ node: Node, kernel: [Int]) throws {
      func list(_ key: String, count: Int = 3, default value: Int) throws -> [Int] {
        let values = try node.ints(key) ?? [Int](repeating: value, count: count)
        guard values.count == count, values.allSatisfy({ $0 >= value && $0 <= 1 << 20 }) else {
          throw Failure(
            .invalidModel, "attribute \(quoted(key)) is \(values); expected \(count) numbers from \(value) on")
        }
        return values
      }
      if let declared = try node.ints("kernel_shape"), declared != kernel {
        throw Failure(.invalidModel, "kernel_shape is \(declared), but that of the weights is \(kernel)")
      }
      if node.attributes["output_shape"] != nil {
        throw Failure(.unsupported, "output_shape is not supported over three axes")
      }
      let (strides, dilations) = (try list("strides", default: 1), try list("dilations", default: 1))
      let extra = try list("output_padding", default: 0)
      var pads = try list("pads", count: 6, default: 0)
      let padding = try node.string("auto_pad", default: "NOTSET")
      let isExplicit = ["NOTSET", ""].contains(padding)
      if !isExplicit { pads = [Int](repeating: 0, count: 6) }
      if padding.hasPrefix("SAME") {
        guard strides == [1, 1, 1], node.operation == "Conv" else {
          throw Failure(.unsupported, "auto_pad \(padding) with strides is not supported over three axes")
        }
        for axis in 0..<3 {
          let (reach, overflow) = (kernel[axis] - 1).multipliedReportingOverflow(by: dilations[axis])
          guard !overflow else { throw Failure(.invalidModel, "a kernel of shape \(kernel)") }
          pads[axis] = padding == "SAME_LOWER" ? reach - reach / 2 : reach / 2
          pads[axis + 3] = reach - pads[axis]
        }
      } else if !isExplicit, padding != "VALID" {
        throw Failure(.invalidModel, "auto_pad is \(quoted(padding))")
      }
      (self.kernel, stride, dilation) = (kernel[0], strides[0], dilations[0])
      (begin, end, outputPadding) = (pads[0], pads[3], extra[0])
      plane = [
        "group": .int(try node.int("group", default: 1)), "strides": .ints(Array(strides[1...])),
        "dilations": .ints(Array(dilations[1...])), "pads": .ints([pads[1], pads[2], pads[4], pads[5]]),
      ]
      if extra[1...] != [0, 0] { plane["output_padding"] = .ints(Array(extra[1...])) }
    }
  }

  /// How many slices a window may see, each of which becomes a node.
  private static let kernelLimit = 64

  /// `x` under a shape of parts that are numbers, or extents `from..<to` of another value.
  private mutating func reshape(
    _ x: ValueID, _ parts: [(like: ValueID?, extents: [Int])]
  ) throws -> ValueID {
    let lists = try parts.map { part in
      guard let like = part.like else { return try constant(part.extents) }
      return try slice(emit("Shape", [like]), part.extents[0], part.extents[1], axis: 0)
    }
    return emit("Reshape", [x, emit("Concat", lists, ["axis": .int(0)])])
  }

  private func depth(_ node: Node, _ w: Shape) throws -> Depth {
    guard w[2] <= Self.kernelLimit else {
      throw Failure(.unsupported, "a kernel of \(w[2]) slices; at most \(Self.kernelLimit) are supported")
    }
    return try Depth(node, kernel: Array(w.dimensions[2...]))
  }

  private mutating func convolve(_ node: Node, _ w: Shape) throws {
    let depth = try depth(node, w)
    let pads = try constant([0, 0, depth.begin, 0, 0, 0, 0, depth.end, 0, 0])
    let x = depth.begin + depth.end == 0 ? try input(node, 0) : emit("Pad", [try input(node, 0), pads])
    // [N, C, kernel, depth, H, W]
    let axis = try constant([2])
    let slices = try (0..<depth.kernel).map { k in
      let behind = (depth.kernel - 1 - k) * depth.dilation
      let part = try slice(
        x, k * depth.dilation, behind == 0 ? .max : -behind, axis: 2, step: depth.stride)
      return emit("Unsqueeze", [part, axis])
    }
    let windows = emit("Concat", slices, ["axis": .int(2)])
    let moved = emit("Transpose", [windows], ["perm": .ints([0, 3, 1, 2, 4, 5])])
    // Channels times slices may be cut into groups as channels are.
    let planes = try reshape(moved, [(nil, [-1]), (nil, [channels(node, w) * w[2]]), (moved, [4, 6])])
    let weights = emit("Reshape", [try input(node, 1), try constant([w[0], w[1] * w[2], w[3], w[4]])])
    let bias = node.input(2)
    let y = emit("Conv", [planes, weights] + (bias.map { [$0] } ?? []), depth.plane)
    let volumes = try reshape(y, [(moved, [0, 2]), (y, [1, 4])])
    emit("Transpose", [volumes], ["perm": .ints([0, 2, 1, 3, 4])], to: node.output(0))
  }

  private mutating func convolveTransposed(_ node: Node, _ w: Shape) throws {
    let depth = try depth(node, w)
    let x = emit("Transpose", [try input(node, 0)], ["perm": .ints([0, 2, 1, 3, 4])])
    let planes = try reshape(x, [(nil, [-1]), (x, [2, 5])])
    let weights = emit("Reshape", [try input(node, 1), try constant([w[0], w[1] * w[2], w[3], w[4]])])
    let y = emit("ConvTranspose", [planes, weights], depth.plane)
    let spread = try reshape(y, [(x, [0, 2]), (nil, [channels(node, w), w[2]]), (y, [2, 4])])
    // [kernel][N, C, depth, H, W], with zeros between the slices where the stride is above 1.
    let order = emit("Transpose", [spread], ["perm": .ints([0, 2, 3, 1, 4, 5])])
    let sum = try (0..<depth.kernel).map { k in
      let part = emit("Squeeze", [try slice(order, k, k + 1, axis: 2), try constant([2])])
      let sparse = try stretch(part, depth.stride)
      let behind = (depth.kernel - 1 - k) * depth.dilation + depth.outputPadding
      return emit("Pad", [sparse, try constant([0, 0, k * depth.dilation, 0, 0, 0, 0, behind, 0, 0])])
    }
    let whole = sum.count == 1 ? sum[0] : emit("Sum", sum)
    let bias = try node.input(2).map { emit("Reshape", [$0, try constant([-1, 1, 1, 1])]) }
    let isCut = depth.begin + depth.end > 0
    let cut = isCut ? try slice(whole, depth.begin, depth.end == 0 ? .max : -depth.end, axis: 2) : whole
    if let bias { emit("Add", [cut, bias], to: node.output(0)) } else { emit("Identity", [cut], to: node.output(0)) }
  }

  /// `stride - 1` slices of zeros between those of x.
  private mutating func stretch(_ x: ValueID, _ stride: Int) throws -> ValueID {
    guard stride > 1 else { return x }
    let apart = emit("Unsqueeze", [x, try constant([3])])
    let padded = emit("Pad", [apart, try constant([0, 0, 0, 0, 0, 0, 0, 0, 0, stride - 1, 0, 0])])
    let joined = try reshape(padded, [(x, [0, 2]), (nil, [-1]), (x, [3, 5])])
    return try slice(joined, 0, -(stride - 1), axis: 2)
  }

  /// All channels of the weights' second axis, which has those of one group.
  private func channels(_ node: Node, _ w: Shape) throws -> Int {
    let (count, overflow) = w[1].multipliedReportingOverflow(by: try node.int("group", default: 1))
    guard !overflow, count >= 1, count <= 1 << 32 else {
      throw Failure(.invalidModel, "weights \(w) in \(try node.int("group", default: 1)) groups")
    }
    return count
  }
}
