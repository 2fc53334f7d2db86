import Glibc
import Graph
import Tensors

/// ScatterElements (and its old name Scatter) and ScatterND: a copy of the data in which some elements are replaced
/// by, or combined with, updates.
enum Scatter {
  static let definitions = [
    OperatorDefinition("Scatter", plan: planElements).gradient(ScatterGradients.elements),
    OperatorDefinition("ScatterElements", plan: planElements).gradient(ScatterGradients.elements),
    OperatorDefinition("ScatterND", plan: planND).gradient(ScatterGradients.tuples),
  ]

  private static func combination(_ request: Request) throws -> IntegerOperation? {
    switch try request.node.string("reduction", default: "none") {
    case "none": return nil
    case "add": return .add
    case "mul": return .multiply
    case "max": return .maximum
    case "min": return .minimum
    case let other: throw Failure(.invalidModel, "reduction is \(quoted(other)); expected none, add, mul, max or min")
    }
  }

  private static func operands(_ request: Request) throws -> (x: Operand, indices: Operand, updates: Operand) {
    let (x, indices, updates) = (try request.input(0), try request.input(1), try request.input(2))
    guard updates.type == x.type else {
      throw Failure(.invalidModel, "the updates are \(updates.type), the data \(x.type)")
    }
    return (x, indices, updates)
  }

  private static func planElements(_ request: Request) throws -> Step {
    let (x, indices, updates) = try operands(request)
    let rank = x.shape.rank
    let axis = try request.axis(request.node.int("axis", default: 0), rank: rank)
    guard indices.shape.rank == rank, updates.shape == indices.shape,
      (0..<rank).allSatisfy({ $0 == axis || indices.shape[$0] <= x.shape[$0] })
    else {
      throw Failure(.invalidModel, "updates \(updates.shape) at indices \(indices.shape) of \(x.shape)")
    }
    let walk = ElementWalk(data: x.shape, indices: indices.shape, axis: axis)
    let combine = try combine(request, x.type)
    return try step(request, x, indices) { reader, updates, output in
      for i in 0..<walk.count {
        let place = walk.base(i) + (try reader.index(i, below: walk.extent)) * walk.stride
        combine(updates, i, output, place, 1)
      }
    }
  }

  private static func planND(_ request: Request) throws -> Step {
    let (x, indices, updates) = try operands(request)
    let tuples = try TupleWalk(data: x.shape, indices: indices.shape)
    let expected = Array(indices.shape.dimensions.dropLast()) + x.shape.dimensions[tuples.depth...]
    guard updates.shape.dimensions == expected else {
      throw Failure(.invalidModel, "the updates have shape \(updates.shape); expected \(expected)")
    }
    let combine = try combine(request, x.type)
    return try step(request, x, indices) { reader, updates, output in
      for i in 0..<tuples.count {
        combine(updates, i * tuples.block, output, try tuples.offset(i, reader), tuples.block)
      }
    }
  }

  private static func step(
    _ request: Request, _ x: Operand, _ indices: Operand,
    _ body: @escaping @Sendable (IndexReader, UnsafeRawPointer, UnsafeMutableRawPointer) throws -> Void
  ) throws -> Step {
    let read = try Gather.reader(indices, 1)
    let bytes = x.shape.count * x.type.byteCount
    return Step(inputs: request.standardLayouts, outputs: [Operand(x.type, x.shape)], overwritable: [0]) { run in
      let (source, target) = (run.input(0, as: UInt8.self), run.output(0, as: UInt8.self))
      if source != UnsafePointer(target) { memcpy(target, source, bytes) }
      try body(read(run), run.input(2, as: UInt8.self), target)
    }
  }

  /// (updates, first update, data, first place, count)
  private typealias Combine = @Sendable (UnsafeRawPointer, Int, UnsafeMutableRawPointer, Int, Int) -> Void

  private static func combine(_ request: Request, _ type: ElementType) throws -> Combine {
    guard let operation = try combination(request) else {
      let size = type.byteCount
      return { memcpy($2 + $3 * size, $0 + $1 * size, $4 * size) }
    }
    if type != .float32 { return try type.withInteger(IntegerCombination(operation: operation)) }
    return { updates, first, data, place, count in
      let updates = updates.assumingMemoryBound(to: Float.self) + first
      let data = data.assumingMemoryBound(to: Float.self) + place
      for i in 0..<count {
        switch operation {
        case .add: data[i] += updates[i]
        case .multiply: data[i] *= updates[i]
        case .maximum: data[i] = max(data[i], updates[i])
        default: data[i] = min(data[i], updates[i])
        }
      }
    }
  }

  private struct IntegerCombination: IntegerBody {
    let operation: IntegerOperation

    func callAsFunction<T: Number & FixedWidthInteger>(_: T.Type) -> Combine {
      { [operation] updates, first, data, place, count in
        let updates = updates.assumingMemoryBound(to: T.self) + first
        let data = data.assumingMemoryBound(to: T.self) + place
        for i in 0..<count { data[i] = operation(data[i], updates[i]) }
      }
    }
  }
}
