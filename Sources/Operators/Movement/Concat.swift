import Glibc
import Graph
import Parallel
import Tensors

/// Concat.
enum Concat {
  static let definitions = [
    OperatorDefinition("Concat", plan: plan).gradient(gradient).local {
      switch try $0.axis($0.node.int("axis", default: 1), rank: $0.input(0).shape.rank) {
      case 0: []
      case 1: [.pixel, .image]
      default: .image
      }
    }
  ]

  /// Each operand gets its part.
  private static let gradient = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    let axis = try e.request(node).axis(node.int("axis", default: 1), rank: e.shape(dy).count)
    var first = 0
    return try node.inputs.indices.map { i in
      let end = first + (try e.shape(e.input(node, i))[axis])
      defer { first = end }
      guard e.isActive(node, i) else { return nil }
      return try e("Slice", dy, e.constant([first]), e.constant([end]), e.constant([axis]))
    }
  }

  private static func plan(_ request: Request) throws -> Step {
    let operands = try request.inputs.indices.map { try request.input($0) }
    guard let first = operands.first else { throw Failure(.invalidModel, "it has no inputs") }
    let rank = first.shape.rank
    let axis = try request.axis(request.node.int("axis", default: 1), rank: rank)
    let shape = try shape(operands, first, axis)
    let layout = operands.first { $0.isReordered }?.layout ?? .standard
    let place = layout.physicalAxis(axis, rank: rank)
    // Every operand is [outer, own], the result [outer, sum of own].
    let size = first.type.byteCount
    let widths = operands.map { size * layout.physical($0.shape).dimensions[place...].reduce(1, *) }
    let outer = layout.physical(shape).dimensions[..<place].reduce(1, *)
    let width = widths.reduce(0, +)
    return Step(
      inputs: operands.map { _ in layout }, outputs: [Operand(first.type, shape, layout: layout)]
    ) { run in
      let output = run.output(0, as: UInt8.self)
      run.parallel.forEach(outer, grain: max(1, 65536 / max(1, width))) { range in
        var offset = 0
        for (i, own) in widths.enumerated() where own > 0 {
          let source = run.input(i, as: UInt8.self)
          for row in range { memcpy(output + row * width + offset, source + row * own, own) }
          offset += own
        }
      }
    }
  }

  /// Of the operands one after the other along `axis`.
  static func shape(_ operands: [Operand], _ first: Operand, _ axis: Int) throws -> Shape {
    var dimensions = first.shape.dimensions
    for operand in operands.dropFirst() {
      var own = operand.shape.dimensions
      guard own.count == dimensions.count, operand.type == first.type else {
        throw Failure(
          .invalidModel,
          "\(operand.type) \(operand.shape) cannot be appended to \(first.type) \(first.shape)")
      }
      dimensions[axis] = try Extent.sum(dimensions[axis], own[axis])
      own[axis] = dimensions[axis]
      guard own == dimensions else {
        throw Failure(
          .invalidModel, "the shapes \(first.shape) and \(operand.shape) differ beside axis \(axis)")
      }
    }
    return try Shape(checking: dimensions)
  }
}
