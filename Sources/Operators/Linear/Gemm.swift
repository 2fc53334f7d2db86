import Graph
import Kernels
import Parallel
import Tensors

/// Gemm: `alpha * a * b + beta * c`, a and b perhaps transposed; in our own domain with what follows it, where c is a
/// row that is known beforehand: a residual as input 3, an activation as an attribute.
enum Gemm {
  static let definitions = [
    OperatorDefinition("Gemm", plan: plan).gradient(ProductGradients.gemm).local(locality),
    OperatorDefinition("Gemm", domain: "limpid", plan: plan).local(locality),
  ]

  private static func locality(_ request: Request) throws -> Locality {
    try request.node.flag("transA") ? [] : request.localityOfWeighted
  }

  private static let residual = 3

  private static func plan(_ request: Request) throws -> Step {
    if request.node.domain.isEmpty, request.inputs.count > 3 {
      throw Failure(.invalidModel, "it has \(request.inputs.count) inputs; expected 2 or 3")
    }
    try request.require(0, .float32)
    try request.require(1, .float32)
    let (a, b) = (try request.input(0).shape, try request.input(1))
    guard a.rank == 2, b.shape.rank == 2 else {
      throw Failure(.invalidModel, "a is \(a) and b \(b.shape); expected matrices")
    }
    let isATransposed = try request.node.flag("transA")
    let isBTransposed = try request.node.flag("transB")
    let (rows, depth) = isATransposed ? (a[1], a[0]) : (a[0], a[1])
    let (bDepth, columns) = isBTransposed ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    guard depth == bDepth else {
      throw Failure(.invalidModel, "the product of \(a) and \(b.shape): \(depth) columns meet \(bDepth) rows")
    }
    let alpha = try request.node.float("alpha", default: 1)
    let kernels = request.kernels
    var product = MatrixProduct(
      rows: rows, depth: depth, columns: columns, aRowStride: depth, bDepthStride: isBTransposed ? 1 : columns,
      bColumnStride: isBTransposed ? depth : 1, kernels: kernels)
    product.isKnown = b.constant != nil
    let factor = try Factor(request, b, product, alpha, isInPlace: isBTransposed && alpha == 1)
    let output = try Shape(checking: [rows, columns])
    let summand = try Summand(request, output, beta: request.node.float("beta", default: 1))

    // The workspace: a transposed, b packed, c scaled.
    let factorSize = factor.workspace(threads: request.parallel.threads)
    let aSize = isATransposed ? (4 * a.count).roundedUp(to: 64) : 0
    let isEmpty = output.count == 0
    let hasResidual = try request.hasResidual(residual, for: output)
    let activation = try Activation.fused(into: request.node)
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(.float32, output)],
      workspace: aSize + factorSize + summand.workspace, taken: b.constant == nil ? [] : [1],
      multiplyAdds: output.count * depth
    ) { run in
      if isEmpty { return }
      var left: UnsafePointer<Float> = run.input(0)
      if isATransposed {
        kernels.permute(
          left, shape: a.dimensions, permutation: [1, 0], elementSize: 4, into: run.workspace, run.parallel)
        left = UnsafePointer(run.workspace.assumingMemoryBound(to: Float.self))
      }
      let epilogue = Kernels.Epilogue(
        bias: summand.bias, residual: hasResidual ? run.input(residual) : nil, activation: activation)
      factor.multiply(left, run, epilogue, workspace: run.workspace + aSize)
      summand.add(to: run, kernels, workspace: run.workspace + aSize + factorSize)
    }
  }

  /// The matrix b: read where it lies, packed once, or packed in each run.
  private struct Factor: Sendable {
    private enum Form {
      case inPlace(Tensor)
      case packed(Storage)
      case fed(alpha: Float, byteCount: Int)
    }

    private let form: Form
    private let product: MatrixProduct

    init(_ request: Request, _ b: Operand, _ product: MatrixProduct, _ alpha: Float, isInPlace: Bool) throws {
      self.product = product
      let size = try product.packedByteCount
      guard let constant = b.constant else {
        form = .fed(alpha: alpha, byteCount: size.roundedUp(to: 64))
        return
      }
      // Read once for a few rows, weights cost the time of memory, which split numbers do not save.
      if isInPlace && product.packing.numbers != .bfloat16 {
        form = .inPlace(constant)
        return
      }
      let key = "Gemm \(b.shape) \(product.bColumnStride) \(alpha) \(product.packing)"
      form = .packed(
        try request.weights.packed([constant], as: key, byteCount: size) {
          let storage = try Storage(byteCount: size)
          product.pack(constant.data, factor: alpha, into: storage.base, request.parallel)
          return storage
        })
    }

    func workspace(threads: Int) -> Int {
      switch form {
      case .inPlace: 0
      case .packed: product.workspace(threads: threads).roundedUp(to: 64)
      case .fed(_, let byteCount): byteCount
      }
    }

    func multiply(
      _ a: UnsafePointer<Float>, _ run: Invocation, _ epilogue: Kernels.Epilogue, workspace: UnsafeMutableRawPointer
    ) {
      switch form {
      case .inPlace(let b):
        product.kernels.multiplyTransposed(
          rows: product.rows, depth: product.depth, columns: product.columns, a, stride: product.depth, b.data,
          into: run.output(), stride: product.columns, epilogue, run.parallel)
      case .packed(let storage):
        product.run(a, packed: storage.base, into: run.output(), epilogue, workspace: workspace, run.parallel)
      case .fed(let alpha, _):
        product.pack(run.input(1, as: UInt8.self), factor: alpha, into: workspace, run.parallel)
        product.run(a, packed: workspace, into: run.output(), epilogue, workspace: workspace, run.parallel)
      }
    }
  }

  /// The matrix c: a bias of the product where it is one row known beforehand, else added afterwards.
  private struct Summand: Sendable {
    private var known: Storage?
    private var broadcast: Broadcast?
    private let beta: Float
    private let count: Int

    init(_ request: Request, _ output: Shape, beta: Float) throws {
      self.beta = beta
      guard request.has(2), beta != 0 else {
        count = 0
        return
      }
      try request.require(2, .float32)
      let c = try request.input(2)
      count = c.shape.count
      let together = try Broadcast([Operand(.float32, output), c.withoutConstant])
      guard together.shape == output else {
        throw Failure(.invalidModel, "c has shape \(c.shape); it cannot be broadcast to \(output)")
      }
      if let constant = c.constant, count == output[1], c.shape.dimensions.last == count {
        known = try request.weights.packed([constant], as: "bias times \(beta)", byteCount: constant.byteCount) {
          try Tensor(constant.array(of: Float.self).map { $0 * beta }, constant.shape).storage
        }
      } else {
        broadcast = together
      }
    }

    var workspace: Int { broadcast == nil || beta == 1 ? 0 : 4 * count }

    var bias: UnsafePointer<Float>? {
      (known?.base.assumingMemoryBound(to: Float.self)).map { UnsafePointer($0) }
    }

    func add(to run: Invocation, _ kernels: Kernels, workspace: UnsafeMutableRawPointer) {
      guard let broadcast else { return }
      var c: UnsafePointer<Float> = run.input(2)
      if beta != 1 {
        let scaled = workspace.assumingMemoryBound(to: Float.self)
        for i in 0..<count { scaled[i] = beta * c[i] }
        c = UnsafePointer(scaled)
      }
      let output: UnsafeMutablePointer<Float> = run.output()
      broadcast.run(
        .add, output, broadcast.strides[0], c, broadcast.strides[1], into: output, kernels, run.parallel)
    }
  }
}
