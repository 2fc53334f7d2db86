import Graph
import Kernels
import Parallel
import Tensors

/// ConvTranspose over one or two spatial axes, as `TransposePhases` computes it.
enum ConvTranspose {
  static let definitions = [
    OperatorDefinition("ConvTranspose", plan: plan).gradient(ConvolutionGradients.transposed)
      .local(\.localityOfWeighted)
  ]

  private static func plan(_ request: Request) throws -> Step {
    let g = try Geometry(request)
    let w = try request.input(1)
    let phases = try TransposePhases(g, request.kernels, known: w.constant != nil)
    let packed = try w.constant.map { constant in
      try request.weights.packed(
        [constant], as: "ConvTranspose \(phases.key)", byteCount: phases.packedByteCount
      ) {
        let storage = try Storage(byteCount: phases.packedByteCount)
        try phases.pack(constant.data, into: storage.base, request.parallel)
        return storage
      }
    }
    let fedSize = packed == nil ? phases.packedByteCount : 0
    let hasBias = request.has(2)
    var layouts = request.standardLayouts
    layouts[0] = .channelsLast
    let isEmpty = g.output.count == 0
    return Step(
      inputs: layouts, outputs: [Operand(.float32, g.output, layout: .channelsLast)],
      workspace: fedSize + (isEmpty ? 0 : phases.workspace(threads: request.parallel.threads)),
      taken: packed == nil ? [] : [1],
      multiplyAdds: try request.input(0).shape.count * g.columns * g.kernel.reduce(1, *)
    ) { run in
      if isEmpty { return }
      if packed == nil { try phases.pack(run.input(1, as: UInt8.self), into: run.workspace, run.parallel) }
      phases.run(
        run.input(0), packed: packed?.base ?? run.workspace, bias: hasBias ? run.input(2) : nil, into: run.output(),
        workspace: run.workspace + fedSize, run.parallel)
    }
  }

  /// The window of a node, and the padding at the beginning of each axis of its result.
  static func window(_ request: Request) throws -> (Window, begins: [Int]) {
    let (x, w) = (try request.input(0).shape, try request.input(1).shape)
    let window = try Window(request.node, kernel: Array(w.dimensions.dropFirst(2)))
    return (window, try Geometry.extents(request.node, window, Array(x.dimensions.dropFirst(2))).1)
  }

  /// Two spatial axes; one is taken as a picture of height 1.
  struct Geometry: Sendable {
    let batch: Int
    let groups: Int
    /// Input and output channels of one group.
    let channels: Int
    let columns: Int
    private(set) var input: [Int]
    private(set) var kernel: [Int]
    private(set) var strides: [Int]
    private(set) var dilations: [Int]
    private(set) var padBegin: [Int]
    /// The spatial extents of the result.
    private(set) var extents: [Int]
    let output: Shape

    init(_ request: Request) throws {
      try request.require(0, .float32)
      try request.require(1, .float32)
      let (x, w) = (try request.input(0).shape, try request.input(1).shape)
      guard x.rank == 3 || x.rank == 4, w.rank == x.rank else {
        throw Failure(.unsupported, "input \(x) and weights \(w); supported: both of rank 3 or 4")
      }
      groups = try request.node.int("group", default: 1)
      guard groups >= 1, groups <= x[1], x[1] % groups == 0, w[0] == x[1] else {
        throw Failure(.invalidModel, "weights \(w) in \(groups) groups do not fit an input \(x)")
      }
      (batch, channels, columns) = (x[0], x[1] / groups, w[1])
      let (outputs, overflow) = w[1].multipliedReportingOverflow(by: groups)
      guard !overflow else { throw Failure(.unsupported, "too many channels") }
      if request.has(2), try request.input(2).shape != [outputs] {
        throw Failure(.invalidModel, "the bias must have \(outputs) elements")
      }
      kernel = Array(w.dimensions[2...])
      input = Array(x.dimensions[2...])
      let window = try Window(request.node, kernel: kernel)
      (extents, padBegin) = try Self.extents(request.node, window, input)
      output = try Shape(checking: [batch, outputs] + extents)
      (strides, dilations) = (window.strides, window.dilations)
      if x.rank == 3 {
        input.insert(1, at: 0)
        kernel.insert(1, at: 0)
        strides.insert(1, at: 0)
        dilations.insert(1, at: 0)
        padBegin.insert(0, at: 0)
        extents.insert(1, at: 0)
      }
    }

    /// The result's extents and the padding at its beginnings.
    fileprivate static func extents(_ node: Node, _ window: Window, _ input: [Int]) throws -> ([Int], [Int]) {
      let rank = input.count
      let extra = try node.ints("output_padding") ?? [Int](repeating: 0, count: rank)
      let wish = try node.ints("output_shape")
      let padding = try node.string("auto_pad", default: "NOTSET")
      guard extra.count == rank, extra.allSatisfy({ $0 >= 0 && $0 <= 1 << 20 }), (wish?.count ?? rank) == rank,
        wish?.allSatisfy({ $0 >= 0 && $0 <= Extent.limit }) ?? true,
        input.allSatisfy({ $0 >= 1 && $0 <= 1 << 24 })
      else { throw Failure(.invalidModel, "output_padding or output_shape do not fit \(rank) spatial axes") }
      var (extents, begins) = ([Int](), [Int]())
      for axis in 0..<rank {
        let full = (input[axis] - 1) * window.strides[axis] + extra[axis] + window.reach(axis)
        let isSame = padding.hasPrefix("SAME")
        guard let extent = wish?[axis] ?? (isSame ? input[axis] * window.strides[axis] : nil) else {
          extents.append(full - window.padBegin[axis] - window.padEnd[axis])
          begins.append(window.padBegin[axis])
          continue
        }
        let total = max(0, full - extent)
        extents.append(extent)
        begins.append(padding == "SAME_UPPER" ? total / 2 : total - total / 2)
      }
      guard extents.allSatisfy({ $0 >= 0 && $0 <= 1 << 45 }) else {
        throw Failure(.invalidModel, "the result would have the extents \(extents)")
      }
      return (extents, begins)
    }
  }
}
