import Graph
import Operators
import Tensors

/// What the axes of a traced graph's values are, followed from the image input on.
struct AxisTrace {
  private(set) var axes: [ValueID: [Axis]] = [:]
  private let emitter: Emitter

  /// `input` has the axes `inputAxes`.
  init(_ emitter: Emitter, input: ValueID, axes inputAxes: [Axis]) {
    self.emitter = emitter
    axes[input] = inputAxes
    for node in emitter.graph.nodes where node.inputs.contains(where: { $0.flatMap { axes[$0] } != nil }) {
      for case (let output?, let found?) in zip(node.outputs, outputs(of: node)) { axes[output] = found }
    }
  }

  private subscript(_ node: Node, _ i: Int) -> [Axis]? {
    node.input(i).flatMap { axes[$0] }
  }

  private func shape(_ value: ValueID?) -> [Int] { value.flatMap { try? emitter.shape($0) } ?? [] }

  private func constant(_ node: Node, _ i: Int) -> [Int]? {
    guard let value = node.input(i) else { return nil }
    return (try? emitter.operand(value).constant).flatMap { try? $0.integers() }
  }

  // MARK: By operator

  private func outputs(of node: Node) -> [[Axis]?] {
    let target = shape(node.output(0))
    switch node.operation {
    case "Reshape", "Flatten", "Squeeze", "Unsqueeze": return [self[node, 0]?.reshaped(to: target)]
    case "Transpose":
      let permutation = (try? node.ints("perm")) ?? Array(target.indices.reversed())
      return [self[node, 0].map { axes in permutation.filter(axes.indices.contains).map { axes[$0] } }]
    case "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "DepthToSpace", "SpaceToDepth":
      return [window(self[node, 0], target)]
    case "Resize", "Upsample", "Pad":
      return [self[node, 0].map { zip($0, target).map { $0.factors.isEmpty ? $0 : $0.resized(to: $1) } }]
    case "MatMul": return [product(self[node, 0], self[node, 1], target)]
    case "Gemm":
      let isTransposed = (try? node.flag("transA")) ?? false
      return [self[node, 0].map { [$0[isTransposed ? 1 : 0], Axis(.channel, target.last ?? 1)] }]
    case "Einsum": return [einsum(node)]
    case "Concat": return [concatenation(node, target)]
    case "Slice": return [slice(node, target)]
    case "Split": return split(node)
    case "Gather": return [gather(node, target)]
    case "Expand", "Tile": return [self[node, 0].flatMap { expanded($0, target) }]
    default:
      if node.operation.hasPrefix("Reduce") || node.operation.hasPrefix("Global") { return [reduction(node, target)] }
      return [combined(node, target)]
    }
  }

  /// Operators that work element by element, or along an axis that stays.
  private func combined(_ node: Node, _ target: [Int]) -> [Axis]? {
    var result = target.map { Axis(.unknown, $0) }
    var isKnown = false
    for case let input? in node.inputs {
      guard let own = axes[input], own.count <= target.count else { continue }
      let (extents, first) = (shape(input), target.count - own.count)
      guard extents.indices.allSatisfy({ extents[$0] == 1 || extents[$0] == target[first + $0] }) else { continue }
      isKnown = true
      for (i, axis) in own.enumerated() where axis.kind != .unknown && !axis.factors.isEmpty {
        if result[first + i].kind == .unknown { result[first + i] = axis }
      }
    }
    return isKnown ? result : nil
  }

  private func window(_ axes: [Axis]?, _ target: [Int]) -> [Axis]? {
    guard let axes, axes.count == target.count, axes.count >= 2 else { return nil }
    return [axes[0], Axis(.channel, target[1])] + (2..<axes.count).map { axes[$0].resized(to: target[$0]) }
  }

  private func product(_ a: [Axis]?, _ b: [Axis]?, _ target: [Int]) -> [Axis]? {
    guard target.count >= 2, a.map({ $0.count >= 2 }) ?? true, b.map({ $0.count >= 2 }) ?? true else { return nil }
    let stack = (0..<target.count - 2).map { i -> Axis in
      for axes in [a, b].compactMap(\.self) {
        let place = i - (target.count - axes.count)
        if place >= 0, !axes[place].factors.isEmpty { return axes[place] }
      }
      return Axis(.unknown, target[i])
    }
    let rows = a.map { $0[$0.count - 2] } ?? Axis(.channel, target[target.count - 2])
    let columns =
      b.map { a == nil ? $0[$0.count - 1] : $0[$0.count - 1].asKeys }
      ?? Axis(.channel, target[target.count - 1])
    return stack + [rows, columns.kind == .unknown ? Axis(.channel, target[target.count - 1]) : columns]
  }

  private func einsum(_ node: Node) -> [Axis]? {
    let equation = ((try? node.string("equation")) ?? "").filter { $0 != " " }
    let sides = equation.split(separator: ">", omittingEmptySubsequences: false)
    guard sides.count == 2, !equation.contains(".") else { return nil }
    let terms = sides[0].dropLast().split(separator: ",", omittingEmptySubsequences: false)
    var known: [Character: Axis] = [:]
    var isFirst = true
    for (i, term) in terms.enumerated() {
      guard let own = self[node, i], own.count == term.count else { continue }
      for (letter, axis) in zip(term, own) where known[letter] == nil { known[letter] = isFirst ? axis : axis.asKeys }
      isFirst = false
    }
    let target = shape(node.output(0))
    return zip(sides[1], target).map { known[$0] ?? Axis(.channel, $1) }
  }

  private func concatenation(_ node: Node, _ target: [Int]) -> [Axis]? {
    guard let axis = axis(node, default: 1, rank: target.count),
      let first = node.inputs.compactMap({ $0 }).first(where: {
        axes[$0] != nil
      }), var result = axes[first]
    else { return nil }
    let parts = node.inputs.map { input in
      input.flatMap { axes[$0]?[axis] } ?? Axis(.unknown, shape(input).indices.contains(axis) ? shape(input)[axis] : 1)
    }
    let extents = node.inputs.map { shape($0).indices.contains(axis) ? shape($0)[axis] : 1 }
    if let kind = parts[0].kind, parts.allSatisfy({ $0.kind == kind }), parts[0].grid == nil {
      result[axis] = Axis(kind, target[axis])
      return result
    }
    let grids = parts.indices.filter { parts[$0].grid != nil }
    guard grids.count == 1, var grid = parts[grids[0]].grid else {
      result[axis] = Axis(parts.contains { $0.kind == .channel } ? .channel : .unknown, target[axis])
      return result
    }
    grid.before += extents[..<grids[0]].reduce(0, +)
    grid.after += extents[(grids[0] + 1)...].reduce(0, +)
    result[axis] = Axis(.tokens(grid), grid.count)
    return result
  }

  private func slice(_ node: Node, _ target: [Int]) -> [Axis]? {
    guard var result = self[node, 0], result.count == target.count else { return nil }
    let extents = shape(node.inputs[0])
    let starts = constant(node, 1) ?? (try? node.ints("starts")) ?? []
    let listed = constant(node, 3) ?? (try? node.ints("axes")) ?? Array(starts.indices)
    for axis in result.indices where extents[axis] != target[axis] {
      let place = listed.firstIndex { $0 == axis || $0 == axis - target.count }
      let start = place.map { starts[$0] < 0 ? starts[$0] + extents[axis] : starts[$0] } ?? 0
      result[axis] = result[axis].taking(start..<start + target[axis])
    }
    return result
  }

  private func split(_ node: Node) -> [[Axis]?] {
    guard let own = self[node, 0], let axis = axis(node, default: 0, rank: own.count) else { return [] }
    var first = 0
    return node.outputs.map { output in
      let extents = shape(output)
      guard extents.indices.contains(axis) else { return nil }
      defer { first += extents[axis] }
      var part = own
      part[axis] = own[axis].taking(first..<first + extents[axis])
      return part
    }
  }

  private func gather(_ node: Node, _ target: [Int]) -> [Axis]? {
    guard let own = self[node, 0], let axis = axis(node, default: 0, rank: own.count) else { return nil }
    let count = target.count - own.count + 1
    guard count >= 0 else { return nil }
    let chosen = (0..<count).map { i in
      count == 1 ? own[axis].resized(to: target[axis]) : Axis(.unknown, target[axis + i])
    }
    return own[..<axis] + chosen + own[(axis + 1)...]
  }

  private func expanded(_ own: [Axis], _ target: [Int]) -> [Axis]? {
    guard own.count <= target.count else { return nil }
    let first = target.count - own.count
    return target.indices.map { i in
      i >= first && !own[i - first].factors.isEmpty ? own[i - first] : Axis(.unknown, target[i])
    }
  }

  private func reduction(_ node: Node, _ target: [Int]) -> [Axis]? {
    guard let own = self[node, 0] else { return nil }
    var axes = Set(2..<max(2, own.count))
    if node.operation.hasPrefix("Reduce") {
      let listed = (try? node.ints("axes")) ?? constant(node, 1) ?? []
      axes = Set(listed.isEmpty ? Array(own.indices) : listed.map { $0 < 0 ? $0 + own.count : $0 })
    }
    if target.count == own.count { return own.indices.map { axes.contains($0) ? Axis([]) : own[$0] } }
    return own.indices.filter { !axes.contains($0) }.map { own[$0] }
  }

  private func axis(_ node: Node, default fallback: Int, rank: Int) -> Int? {
    guard let axis = try? node.int("axis", default: fallback) else { return nil }
    let index = axis < 0 ? axis + rank : axis
    return (0..<rank).contains(index) ? index : nil
  }
}

extension Axis {
  /// Neighbouring elements of it.
  fileprivate func taking(_ range: Range<Int>) -> Axis {
    guard let grid else { return resized(to: range.count) }
    let positions = grid.before..<grid.before + grid.rows * grid.columns
    if range == positions {
      return Axis([.init(kind: .row, extent: grid.rows), .init(kind: .column, extent: grid.columns)])
    }
    guard range.lowerBound <= positions.lowerBound, range.upperBound >= positions.upperBound else {
      return Axis(.unknown, range.count)
    }
    var part = grid
    part.before = positions.lowerBound - range.lowerBound
    part.after = range.upperBound - positions.upperBound
    return Axis(.tokens(part), range.count)
  }
}
