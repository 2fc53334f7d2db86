import Glibc
import Graph
import Parallel
import Tensors

/// Gather, GatherElements and GatherND.
enum Gather {
  static let definitions = [
    OperatorDefinition("Gather", plan: planGather).gradient(IndexGradients.gather).local {
      try $0.input(1).constant == nil ? [] : $0.locality(alongAxisOr: 0)
    },
    OperatorDefinition("GatherElements", plan: planElements).gradient(IndexGradients.gatherElements),
    OperatorDefinition("GatherND", plan: planND).gradient(IndexGradients.gatherND),
  ]

  /// Reads indices of either integer type from a run's input, each checked against the extent that it indexes.
  static func reader(_ operand: Operand, _ i: Int) throws -> @Sendable (Invocation) -> IndexReader {
    switch operand.type {
    case .int64: return { run in IndexReader(wide: run.input(1), narrow: nil) }
    case .int32: return { run in IndexReader(wide: nil, narrow: run.input(1)) }
    case let other: throw Failure(.invalidModel, "input \(i), the indices, is \(other); expected int32 or int64")
    }
  }

  private static func planGather(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let indices = try request.input(1)
    let axis = try request.axis(request.node.int("axis", default: 0), rank: x.shape.rank)
    let read = try reader(indices, 1)
    // One index axis takes the place of the gathered one, so that any layout can stay.
    let layout = indices.shape.rank == 1 ? x.layout : .standard
    let dimensions = x.shape.dimensions
    let shape = try Shape(
      checking: Array(dimensions[..<axis]) + indices.shape.dimensions + Array(dimensions[(axis + 1)...]))
    let split = AxisSplit(
      layout.physical(x.shape).dimensions, axis: layout.physicalAxis(axis, rank: x.shape.rank))
    let size = x.type.byteCount
    let count = indices.shape.count
    return Step(inputs: [layout, .standard], outputs: [Operand(x.type, shape, layout: layout)]) { run in
      let reader = read(run)
      let chosen = try (0..<count).map { try reader.index($0, below: split.axis) }
      Selection(from: [split.outer, split.axis, split.inner], [nil, chosen, nil]).copy(
        run.input(0, as: UInt8.self), into: run.output(0, as: UInt8.self), elementSize: size, run.parallel)
    }
  }

  private static func planElements(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let indices = try request.input(1)
    let rank = x.shape.rank
    let axis = try request.axis(request.node.int("axis", default: 0), rank: rank)
    guard indices.shape.rank == rank,
      (0..<rank).allSatisfy({ $0 == axis || indices.shape[$0] <= x.shape[$0] })
    else { throw Failure(.invalidModel, "indices \(indices.shape) into \(x.shape) along axis \(axis)") }
    let read = try reader(indices, 1)
    let walk = ElementWalk(data: x.shape, indices: indices.shape, axis: axis)
    let size = x.type.byteCount
    return Step(inputs: request.standardLayouts, outputs: [Operand(x.type, indices.shape)]) { run in
      let (source, target, reader) = (run.input(0, as: UInt8.self), run.output(0, as: UInt8.self), read(run))
      for i in 0..<walk.count {
        let place = walk.base(i) + (try reader.index(i, below: walk.extent)) * walk.stride
        memcpy(target + i * size, source + place * size, size)
      }
    }
  }

  private static func planND(_ request: Request) throws -> Step {
    let x = try request.input(0)
    let indices = try request.input(1)
    let tuples = try TupleWalk(
      data: x.shape, indices: indices.shape, batchAxes: request.node.int("batch_dims", default: 0))
    let read = try reader(indices, 1)
    let shape = try Shape(
      checking: Array(indices.shape.dimensions.dropLast())
        + x.shape.dimensions[(tuples.batchAxes + tuples.depth)...])
    let bytes = tuples.block * x.type.byteCount
    return Step(inputs: request.standardLayouts, outputs: [Operand(x.type, shape)]) { run in
      let (source, target, reader) = (run.input(0, as: UInt8.self), run.output(0, as: UInt8.self), read(run))
      for i in 0..<tuples.count {
        let place = try tuples.offset(i, reader) * x.type.byteCount
        memcpy(target + i * bytes, source + place, bytes)
      }
    }
  }
}

/// Indices of a running step.
struct IndexReader {
  let wide: UnsafePointer<Int64>?
  let narrow: UnsafePointer<Int32>?

  /// Index `i`, which may count from the end, as 0..<extent.
  func index(_ i: Int, below extent: Int) throws -> Int {
    let value = wide.map { Int($0[i]) } ?? narrow.map { Int($0[i]) } ?? 0
    guard value >= -extent, value < extent else {
      throw Failure(.invalidModel, "index \(value) is outside of an axis of extent \(extent)")
    }
    return value < 0 ? value + extent : value
  }
}

/// The walk of GatherElements and ScatterElements: each element of `indices` names a place along one axis of the data.
struct ElementWalk: Sendable {
  let count: Int
  /// Of the indexed axis.
  let extent: Int
  let stride: Int
  private let indexExtents: [Int]
  private let strides: [Int]

  init(data: Shape, indices: Shape, axis: Int) {
    count = indices.count
    extent = data[axis]
    stride = data.strides[axis]
    indexExtents = indices.dimensions
    var strides = data.strides
    strides[axis] = 0
    self.strides = strides
  }

  /// Where index element `i` points in the data, but for the indexed axis.
  func base(_ i: Int) -> Int {
    var rest = i
    var offset = 0
    for axis in indexExtents.indices.reversed() {
      offset += rest % indexExtents[axis] * strides[axis]
      rest /= indexExtents[axis]
    }
    return offset
  }
}

/// The walk of GatherND and ScatterND: each row of `indices` names a block of the data.
struct TupleWalk: Sendable {
  let batchAxes: Int
  /// Indices in a tuple.
  let depth: Int
  let count: Int
  /// Elements that one tuple names.
  let block: Int
  private let extents: [Int]
  private let strides: [Int]
  private let tuplesPerBatch: Int
  private let batchStride: Int

  init(data: Shape, indices: Shape, batchAxes: Int = 0) throws {
    guard batchAxes >= 0, batchAxes < indices.rank, batchAxes < data.rank,
      data.dimensions[..<batchAxes] == indices.dimensions[..<batchAxes],
      let depth = indices.dimensions.last, depth >= 0, batchAxes + depth <= data.rank
    else {
      throw Failure(.invalidModel, "indices \(indices) into \(data) with \(batchAxes) batch axes")
    }
    self.batchAxes = batchAxes
    self.depth = depth
    count = indices.dimensions.dropLast().reduce(1, *)
    block = data.dimensions[(batchAxes + depth)...].reduce(1, *)
    extents = Array(data.dimensions[batchAxes..<batchAxes + depth])
    strides = Array(data.strides[batchAxes..<batchAxes + depth])
    tuplesPerBatch = max(1, indices.dimensions[batchAxes..<indices.rank - 1].reduce(1, *))
    batchStride = data.dimensions[batchAxes...].reduce(1, *)
  }

  /// Where the block of tuple `i` begins, in elements.
  func offset(_ i: Int, _ reader: IndexReader) throws -> Int {
    var offset = i / tuplesPerBatch * batchStride
    for k in 0..<depth { offset += try reader.index(i * depth + k, below: extents[k]) * strides[k] }
    return offset
  }
}
