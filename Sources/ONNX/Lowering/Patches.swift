// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// Col2Im: patches are put together to an image, and added where they overlap. That is a transposed convolution of
/// their elements by weights that put each element at its place.
extension Lowering {
  static let patchRules: [String: Rule] = ["Col2Im": patches]

  /// Inputs: [N, C × elements of a patch, patches], the extents of the image, and those of a patch.
  private static func patches(_ lowering: inout Lowering, _ node: Node) throws {
    guard let image = try lowering.integers(node, 1), let patch = try lowering.integers(node, 2) else {
      throw Failure(.unsupported, "its image_shape and block_shape are not constant")
    }
    let limit = 1 << 20
    guard !image.isEmpty, image.count <= 3, image.count == patch.count,
      (image + patch).allSatisfy({ (1...limit).contains($0) })
    else { throw Failure(.invalidModel, "its image_shape is \(image) and its block_shape \(patch)") }
    let elements = try Shape(checking: patch).count
    guard elements <= 1 << 12 else { throw Failure(.unsupported, "patches of \(elements) elements") }
    func list(_ key: String, _ count: Int, default value: Int) throws -> [Int] {
      let values = try node.ints(key) ?? [Int](repeating: value, count: count)
      guard values.count == count, values.allSatisfy({ (value...limit).contains($0) }) else {
        throw Failure(
          .invalidModel, "attribute \(quoted(key)) is \(values); expected \(count) numbers from \(value) on")
      }
      return values
    }
    let (axes, strides) = (image.indices, try list("strides", image.count, default: 1))
    let (dilations, pads) = (
      try list("dilations", image.count, default: 1), try list("pads", 2 * image.count, default: 0)
    )
    let room = axes.map { image[$0] + pads[$0] + pads[$0 + image.count] - (patch[$0] - 1) * dilations[$0] - 1 }
    guard room.allSatisfy({ $0 >= 0 }) else {
      throw Failure(.invalidModel, "patches \(patch) are larger than the image \(image)")
    }
    let places = axes.map { room[$0] / strides[$0] + 1 }
    var weights = [Float](repeating: 0, count: elements * elements)
    for i in 0..<elements { weights[i * elements + i] = 1 }
    let columns = try lowering.input(node, 0)
    let apart = lowering.emit("Reshape", [columns, try lowering.constant([-1, elements] + places)])
    let whole = lowering.newValue()
    try lowering.lower(
      Node(
        "ConvTranspose", name: node.name,
        inputs: [apart, lowering.constant(try Tensor(weights, Shape(checking: [elements, 1] + patch)))],
        outputs: [whole],
        attributes: [
          "strides": .ints(strides), "dilations": .ints(dilations), "pads": .ints(pads),
          "output_padding": .ints(axes.map { room[$0] % strides[$0] }),
        ], version: version))
    let count = try lowering.slice(lowering.emit("Shape", [columns]), 0, 1, axis: 0)
    let shape = lowering.emit("Concat", [count, try lowering.constant([-1] + image)], ["axis": .int(0)])
    lowering.emit("Reshape", [whole, shape], to: node.output(0))
  }
}
