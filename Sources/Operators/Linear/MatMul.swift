import Graph
import Kernels
import Parallel
import Tensors

/// MatMul: NumPy's matmul, alone (ONNX) or with what follows it (our own domain): inputs a, b, a bias for each column,
/// known beforehand, and a residual with the bytes of the result, each optional; an activation as an attribute.
enum MatMul {
  static let definitions = [
    OperatorDefinition("MatMul") { request in
      guard request.inputs.count == 2 else {
        throw Failure(.invalidModel, "it has \(request.inputs.count) inputs; expected 2")
      }
      return try plan(request)
    }.gradient(ProductGradients.matMul).local(locality),
    OperatorDefinition("MatMul", domain: "limpid", plan: plan).local(locality),
  ]

  /// The first axis of both counts products, or b is a weight.
  private static func locality(_ request: Request) throws -> Locality {
    let (a, b) = (try request.input(0).shape.rank, try request.input(1).shape.rank)
    return a == b && a > 2 ? .image : a > 1 ? request.localityOfWeighted : []
  }

  private static let (bias, residual) = (2, 3)

  private static func plan(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    try request.require(1, .float32)
    let activation = try Activation.fused(into: request.node)
    let b = try request.input(1)
    var (product, output) = try product(request.input(0).shape, b.shape, request.kernels)
    product.isKnown = b.constant != nil
    let bias = try request.constant(bias).map { bias in
      guard bias.type == .float32, bias.count == product.columns else {
        throw Failure(.invalidModel, "the bias is \(bias.type) of shape \(bias.shape) for \(product.columns) columns")
      }
      return try request.weights.packed([bias], as: "bias", byteCount: bias.byteCount) {
        try Tensor(bias.array(of: Float.self), bias.shape).storage
      }
    }
    let hasResidual = try request.hasResidual(residual, for: output)
    let packedSize = try product.packedByteCount
    let packed = try b.constant.map { b in
      try request.weights.packed(
        [b], as: "MatMul \(b.shape) \(product.packing)", byteCount: packedSize
      ) {
        let storage = try Storage(byteCount: packedSize)
        product.pack(b.data, into: storage.base, request.parallel)
        return storage
      }
    }
    let isEmpty = output.count == 0
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(.float32, output)],
      workspace: packed == nil ? packedSize : product.workspace(threads: request.parallel.threads),
      taken: packed == nil ? [Self.bias] : [1, Self.bias],
      multiplyAdds: output.count * product.depth
    ) { [product] run in
      if isEmpty { return }
      if packed == nil { product.pack(run.input(1, as: UInt8.self), into: run.workspace, run.parallel) }
      let epilogue = Kernels.Epilogue(
        bias: bias.map { UnsafePointer($0.base.assumingMemoryBound(to: Float.self)) },
        residual: hasResidual ? run.input(residual) : nil, activation: activation)
      product.run(
        run.input(0), packed: packed?.base ?? run.workspace, into: run.output(), epilogue, workspace: run.workspace,
        run.parallel)
    }
  }

  private static func product(_ a: Shape, _ b: Shape, _ kernels: Kernels) throws -> (MatrixProduct, Shape) {
    guard a.rank >= 1, b.rank >= 1 else { throw Failure(.invalidModel, "the product of \(a) and \(b)") }
    // A vector is a matrix of one row on the left and of one column on the right.
    let rows = a.rank == 1 ? 1 : a[a.rank - 2]
    let columns = b.rank == 1 ? 1 : b[b.rank - 1]
    let depth = a[a.rank - 1]
    guard depth == b[max(0, b.rank - 2)] else {
      throw Failure(.invalidModel, "the product of \(a) and \(b): \(depth) columns meet \(b[max(0, b.rank - 2)]) rows")
    }
    let aStack = Shape(trusted: Array(a.dimensions.dropLast(2)))
    let bStack = Shape(trusted: Array(b.dimensions.dropLast(2)))
    let pairs = try Broadcast([Operand(.float32, aStack), Operand(.float32, bStack)])
    let output = try Shape(
      checking: pairs.shape.dimensions + (a.rank == 1 ? [] : [rows]) + (b.rank == 1 ? [] : [columns]))

    // One b for all: the rows of all matrices of a are rows of one product.
    let isJoined = bStack.count == 1
    var product = MatrixProduct(
      rows: isJoined ? aStack.count * rows : rows, depth: depth, columns: columns, aRowStride: depth,
      bDepthStride: columns, bColumnStride: 1, kernels: kernels)
    if !isJoined {
      product.count = pairs.shape.count
      product.pairs = pairs
      product.aStride = rows * depth
      product.bStride = depth * columns
      product.bCount = bStack.count
    }
    return (product, output)
  }
}

extension Request {
  /// Whether there is something to be added to the result of a product, which must have as many floats.
  func hasResidual(_ i: Int, for output: Shape) throws -> Bool {
    guard has(i) else { return false }
    try require(i, .float32)
    let shape = try input(i).shape
    guard shape.count == output.count else {
      throw Failure(.invalidModel, "the residual has shape \(shape), the result \(output)")
    }
    return true
  }
}
