import Kernels
import Tensors

/// What one run of Einsum does: copies into another order of axes, sums, and products, between the operands and
/// buffers in the workspace.
struct EinsumProgram: Sendable {
  typealias Term = Einsum.Term
  typealias Label = Einsum.Label

  enum Place: Sendable {
    case input(Int)
    case buffer(offset: Int)
  }

  private enum Action: Sendable {
    case copy(StridedCopy, from: Place, to: Int)
    case sum(AxisSplit, from: Place, to: Int)
    case multiply(MatrixProduct, Place, Place, packed: Int, to: Int)
    case finish(StridedCopy, from: Place)
  }

  let kernels: Kernels
  private var actions: [Action] = []
  /// Bytes.
  private(set) var workspace = 0

  init(kernels: Kernels) { self.kernels = kernels }

  struct Value {
    let place: Place
    let term: Term
  }

  private mutating func buffer(_ count: Int) throws -> Int {
    let offset = workspace
    let (end, overflow) = count.roundedUp(to: 16).multipliedReportingOverflow(by: 4)
    let (sum, overflows) = offset.addingReportingOverflow(end)
    guard !overflow, !overflows else { throw Failure(.unsupported, "the equation needs too much memory") }
    workspace = sum
    return offset
  }

  private func count(_ labels: [Label], _ extents: [Label: Int]) throws -> Int {
    try Shape(checking: labels.map { extents[$0] ?? 1 }).count
  }

  mutating func compile(_ equation: Einsum.Equation) throws -> Value {
    let extents = equation.extents
    var values = equation.terms.enumerated().map { Value(place: .input($0), term: $1) }
    guard var result = values.first else { throw Failure(.invalidModel, "it has no inputs") }
    values.removeFirst()
    while !values.isEmpty {
      var next = values.removeFirst()
      let later = Set(equation.output).union(values.flatMap(\.term.labels))
      result = try summing(result, keeping: later.union(next.term.labels), extents)
      next = try summing(next, keeping: later.union(result.term.labels), extents)
      result = try multiplying(result, next, keeping: later, extents)
    }
    return try summing(result, keeping: Set(equation.output), extents)
  }

  /// Sums over the axes that nothing needs any more.
  private mutating func summing(_ value: Value, keeping: Set<Label>, _ extents: [Label: Int]) throws -> Value {
    let kept = value.term.labels.filter { keeping.contains($0) }
    let dropped = value.term.labels.filter { !keeping.contains($0) }
    if dropped.isEmpty { return value }
    let source =
      Term(kept + dropped, extents).strides == value.term.strides
      ? value : try copied(value, kept + dropped, extents)
    let target = try buffer(count(kept, extents))
    let split = try AxisSplit([count(kept, extents), count(dropped, extents)], axis: 1)
    actions.append(.sum(split, from: source.place, to: target))
    return Value(place: .buffer(offset: target), term: Term(kept, extents))
  }

  private mutating func multiplying(
    _ a: Value, _ b: Value, keeping: Set<Label>, _ extents: [Label: Int]
  ) throws -> Value {
    let shared = a.term.labels.filter { b.term.strides[$0] != nil }
    let batch = shared.filter { keeping.contains($0) }
    let depth = shared.filter { !keeping.contains($0) }
    let left = a.term.labels.filter { !shared.contains($0) }
    let right = b.term.labels.filter { !shared.contains($0) }
    let first = try regular(a, [batch, left, depth], extents, isLastContiguous: true)
    let second = try regular(b, [batch, depth, right], extents, isLastContiguous: false)

    func step(_ labels: [Label], _ value: Value) -> Int { labels.last.flatMap { value.term.strides[$0] } ?? 0 }
    var product = MatrixProduct(
      rows: try count(left, extents), depth: try count(depth, extents), columns: try count(right, extents),
      aRowStride: step(left, first), bDepthStride: step(depth, second), bColumnStride: step(right, second),
      kernels: kernels)
    product.count = try count(batch, extents)
    product.aStride = step(batch, first)
    product.bStride = step(batch, second)
    product.bCount = product.count
    let packed = try buffer(product.packedByteCount / 4)
    let labels = batch + left + right
    let target = try buffer(count(labels, extents))
    actions.append(.multiply(product, first.place, second.place, packed: packed, to: target))
    return Value(place: .buffer(offset: target), term: Term(labels, extents))
  }

  /// `value` with each group of its axes walked by one stride (that of the group's last axis); copied where its axes
  /// lie otherwise.
  private mutating func regular(
    _ value: Value, _ groups: [[Label]], _ extents: [Label: Int], isLastContiguous: Bool
  ) throws -> Value {
    let strides = value.term.strides
    let isRegular = groups.allSatisfy { group in
      zip(group, group.dropFirst()).allSatisfy { strides[$0] == (strides[$1] ?? 0) * (extents[$1] ?? 1) }
    }
    let last = groups.last?.last.flatMap { strides[$0] } ?? 1
    if isRegular, !isLastContiguous || last == 1 { return value }
    return try copied(value, groups.flatMap { $0 }, extents)
  }

  /// `value` dense with its axes in this order.
  private mutating func copied(_ value: Value, _ labels: [Label], _ extents: [Label: Int]) throws -> Value {
    let target = try buffer(count(labels, extents))
    actions.append(.copy(StridedCopy(labels, value.term.strides, extents), from: value.place, to: target))
    return Value(place: .buffer(offset: target), term: Term(labels, extents))
  }

  /// Brings the result into the order of the equation; axes that no operand has in full are repeated.
  mutating func finish(_ value: Value, as equation: Einsum.Equation) throws {
    actions.append(
      .finish(StridedCopy(equation.output, value.term.strides, equation.extents), from: value.place))
  }

  func run(_ run: Invocation) {
    func source(_ place: Place) -> UnsafePointer<Float> {
      switch place {
      case .input(let i): run.input(i)
      case .buffer(let offset): UnsafePointer(target(offset))
      }
    }
    func target(_ offset: Int) -> UnsafeMutablePointer<Float> {
      (run.workspace + offset).assumingMemoryBound(to: Float.self)
    }
    for action in actions {
      switch action {
      case .copy(let copy, let from, let to): copy.run(source(from), into: target(to))
      case .sum(let split, let from, let to):
        kernels.reduce(
          .sum, outer: split.outer, axis: split.axis, inner: 1, source(from), into: target(to), run.parallel)
      case .multiply(let product, let a, let b, let packed, let to):
        product.pack(source(b), into: target(packed), run.parallel)
        product.run(source(a), packed: target(packed), into: target(to), workspace: target(packed), run.parallel)
      case .finish(let copy, let from): copy.run(source(from), into: run.output())
      }
    }
  }
}

/// A copy of float32 elements into dense order from wherever they lie.
struct StridedCopy: Sendable {
  private let extents: [Int]
  private let strides: [Int]

  init(_ labels: [Einsum.Label], _ strides: [Einsum.Label: Int], _ extents: [Einsum.Label: Int]) {
    self.extents = labels.map { extents[$0] ?? 1 }
    self.strides = labels.map { strides[$0] ?? 0 }
  }

  func run(_ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    let columns = extents.last ?? 1
    let step = strides.last ?? 1
    let rows = extents.dropLast().reduce(1, *)
    if columns == 0 { return }
    for row in 0..<rows {
      var rest = row
      var offset = 0
      for axis in (0..<max(0, extents.count - 1)).reversed() {
        offset += rest % extents[axis] * strides[axis]
        rest /= extents[axis]
      }
      let to = target + row * columns
      if step == 1 {
        to.update(from: source + offset, count: columns)
      } else {
        for i in 0..<columns { to[i] = source[offset + i * step] }
      }
    }
  }
}
