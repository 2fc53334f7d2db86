import Graph
import Kernels
import Parallel
import Tensors

/// ReduceSum and its family.
enum Reduce {
  static let definitions = [
    ("ReduceSum", Kernels.Reduction.sum), ("ReduceMean", .mean), ("ReduceMax", .maximum), ("ReduceMin", .minimum),
    ("ReduceProd", .product), ("ReduceL1", .l1), ("ReduceL2", .l2), ("ReduceSumSquare", .sumSquare),
    ("ReduceLogSum", .logSum), ("ReduceLogSumExp", .logSumExp),
  ].map { name, reduction in
    OperatorDefinition(name) { try plan($0, reduction) }.gradient(ReduceGradients.rule(reduction))
      .local { request in
        let axes = try Reduction(request, request.input(0)).axes
        return axes.contains(0) ? [] : axes.contains(1) ? .image : [.channel, .image]
      }
  }

  private static func plan(_ request: Request, _ reduction: Kernels.Reduction) throws -> Step {
    let x = try request.input(0)
    let reduced = try Reduction(request, x)
    if reduced.axes.isEmpty, reduction.isIdentityOfOne {
      return Step(viewing: 0, of: request.inputs.count, in: x.layout, as: x.withoutConstant)
    }
    let kernels = request.kernels
    let size = x.type.byteCount
    let split = reduced.split
    let body = try Self.body(reduction, x.type, kernels)
    var layouts = request.standardLayouts
    layouts[0] = reduced.inputLayout
    let isEmpty = reduced.output.shape.count == 0
    return Step(
      inputs: layouts, outputs: [reduced.output],
      workspace: reduced.permutation == nil ? 0 : size * x.shape.count
    ) { run in
      if isEmpty { return }
      var source = UnsafeRawPointer(run.input(0, as: UInt8.self))
      if let permutation = reduced.permutation {
        kernels.permute(
          source, shape: reduced.physical, permutation: permutation, elementSize: size, into: run.workspace,
          run.parallel)
        source = UnsafeRawPointer(run.workspace)
      }
      body(split, source, run.output(0, as: UInt8.self), run.parallel)
    }
  }

  private typealias Body = @Sendable (AxisSplit, UnsafeRawPointer, UnsafeMutableRawPointer, Parallel) -> Void

  private static func body(_ reduction: Kernels.Reduction, _ type: ElementType, _ kernels: Kernels) throws -> Body {
    if type != .float32 { return try type.withNumber(NumberReduction(reduction: reduction)) }
    return { split, source, target, parallel in
      kernels.reduce(
        reduction, outer: split.outer, axis: split.axis, inner: split.inner,
        source.assumingMemoryBound(to: Float.self), into: target.assumingMemoryBound(to: Float.self), parallel)
    }
  }

  private struct NumberReduction: NumberBody {
    let reduction: Kernels.Reduction

    func callAsFunction<T: Number>(_: T.Type) throws -> Body {
      let (initial, combine) = try steps(T.self)
      let isMean = reduction == .mean
      return { split, source, target, _ in
        let x = source.assumingMemoryBound(to: T.self)
        let output = target.assumingMemoryBound(to: T.self)
        for o in 0..<split.outer {
          for i in 0..<split.inner {
            var sum = initial
            for k in 0..<split.axis {
              let value = x[(o * split.axis + k) * split.inner + i]
              sum = initial == nil && k == 0 ? value : combine(sum ?? .zero, value)
            }
            let total = sum ?? .zero
            output[o * split.inner + i] =
              isMean ? T(converting: total.converted(to: Int64.self) / Int64(max(1, split.axis))) : total
          }
        }
      }
    }

    /// What a reduction begins with (nil: the first element) and how it goes on. Sums are kept in 64 bits' worth of
    /// wrapping arithmetic, as the narrower types' sums are the same modulo their range.
    private func steps<T: Number>(_: T.Type) throws -> (T?, @Sendable (T, T) -> T) {
      func wide(_ body: @escaping @Sendable (Int64, Int64) -> Int64) -> @Sendable (T, T) -> T {
        { T(converting: body($0.converted(to: Int64.self), $1.converted(to: Int64.self))) }
      }
      switch reduction {
      case .sum, .mean: return (.zero, wide { $0 &+ $1 })
      case .product: return (T(exactly: 1) ?? .zero, wide { $0 &* $1 })
      case .sumSquare: return (.zero, wide { $0 &+ $1 &* $1 })
      case .l1: return (.zero, wide { $0 &+ ($1 < 0 ? 0 &- $1 : $1) })
      case .maximum: return (nil, { max($0, $1) })
      case .minimum: return (nil, { min($0, $1) })
      case .l2, .logSum, .logSumExp: throw Failure(.unsupported, "\(reduction) of integers is not supported")
      }
    }
  }
}

extension Kernels.Reduction {
  /// Whether the reduction of one number is that number.
  fileprivate var isIdentityOfOne: Bool {
    switch self {
    case .sum, .mean, .maximum, .minimum, .product: true
    default: false
    }
  }
}

/// Which axes of an operand a reduction takes together, and how the result lies.
struct Reduction: Sendable {
  let inputLayout: Layout
  let output: Operand
  /// Extents of the input in memory order.
  let physical: [Int]
  /// Brings the reduced axes behind the others, where they do not lie together.
  private(set) var permutation: [Int]?
  let split: AxisSplit
  let axes: Set<Int>

  /// Reads "axes" (an attribute, or input 1), "keepdims" and "noop_with_empty_axes", with which there may be no axes at
  /// all: each element is reduced by itself.
  init(_ request: Request, _ x: Operand) throws {
    let rank = x.shape.rank
    let listed = try request.integers(attribute: "axes", orInput: 1) ?? []
    let isWhole = try listed.isEmpty && !request.node.flag("noop_with_empty_axes")
    let axes = Set(isWhole ? Array(0..<rank) : try request.axes(listed, rank: rank))
    self.init(x, axes: axes, keepsAxes: try request.node.flag("keepdims", default: true))
  }

  init(_ x: Operand, axes: Set<Int>, keepsAxes: Bool, type: ElementType? = nil) {
    self.axes = axes
    let rank = x.shape.rank
    let (layout, outputLayout) = keepsAxes ? (x.layout, x.layout) : Self.layouts(x, without: axes)
    let order = layout.order(rank: rank)
    inputLayout = layout
    let extents = order.map { x.shape[$0] }
    physical = extents
    let dimensions = (0..<rank).compactMap { axes.contains($0) ? (keepsAxes ? 1 : nil) : x.shape[$0] }
    output = Operand(type ?? x.type, Shape(trusted: dimensions), layout: outputLayout)

    let places = order.indices.filter { axes.contains(order[$0]) }
    if let first = places.first, let last = places.last, places.count != last - first + 1,
      (first...last).contains(where: { !axes.contains(order[$0]) && extents[$0] != 1 })
    {
      let rest = order.indices.filter { !axes.contains(order[$0]) }
      permutation = rest + places
      let count = places.reduce(1) { $0 * extents[$1] }
      split = AxisSplit([rest.reduce(1) { $0 * extents[$1] }, count], axis: 1)
    } else {
      let first = places.first ?? order.count
      split = AxisSplit(extents, axes: first..<(places.last.map { $0 + 1 } ?? first))
    }
  }

  /// The layouts in which `x` is read and its reduction over `axes`, which go, is written: that of `x` where what is
  /// left lies in the order of some layout.
  private static func layouts(_ x: Operand, without axes: Set<Int>) -> (Layout, Layout) {
    let kept = x.layout.order(rank: x.shape.rank).filter { !axes.contains($0) }
    let order = kept.map { axis in kept.count { $0 < axis } }
    let layout = Layout.allCases.first { $0.fits(rank: kept.count) && $0.order(rank: kept.count) == order }
    return layout.map { (x.layout, $0) } ?? (.standard, .standard)
  }
}
