import Graph

/// Gradients of matrix products.
enum ProductGradients {
  /// dA = dY·Bᵀ, dB = Aᵀ·dY, summed over the stacks along which a matrix repeats. A vector is a matrix of one row (A)
  /// or column (B).
  static let matMul = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    let (a, b) = (try e.input(node, 0), try e.input(node, 1))
    let (aShape, bShape) = (try e.shape(a), try e.shape(b))
    let aMatrix = aShape.count == 1 ? [1] + aShape : aShape
    let bMatrix = bShape.count == 1 ? bShape + [1] : bShape
    let stack = try e.shape(dy).dropLast((aShape.count == 1 ? 0 : 1) + (bShape.count == 1 ? 0 : 1))
    let whole = try e.reshape(dy, stack + [aMatrix[aMatrix.count - 2], bMatrix[bMatrix.count - 1]])
    var results: [ValueID?] = [nil, nil]
    if e.isActive(node, 0) {
      let other = try e.transposed(e.reshape(b, bMatrix))
      results[0] = try e.reshape(e.sum(e("MatMul", whole, other), to: aMatrix), aShape)
    }
    if e.isActive(node, 1) {
      let other = try e.transposed(e.reshape(a, aMatrix))
      // One b for a stack of a: their rows are rows of one product.
      if bMatrix.count == 2, aMatrix.count > 2 {
        let rows = aMatrix.dropLast().reduce(1, *)
        let left = try e.transposed(e.reshape(a, [rows, aMatrix[aMatrix.count - 1]]))
        results[1] = try e.reshape(e("MatMul", left, e.reshape(whole, [rows, bMatrix[1]])), bShape)
      } else {
        results[1] = try e.reshape(e.sum(e("MatMul", other, whole), to: bMatrix), bShape)
      }
    }
    return results
  }

  static let gemm = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients[0] else { return [] }
    let (transA, transB) = (try node.flag("transA"), try node.flag("transB"))
    let (alpha, beta) = (try node.float("alpha", default: 1), try node.float("beta", default: 1))
    var results: [ValueID?] = [nil, nil, nil]
    func product(_ x: ValueID, _ transX: Bool, _ y: ValueID, _ transY: Bool) throws -> ValueID {
      try e(
        "Gemm", x, y,
        attributes: ["alpha": .float(alpha), "transA": .int(transX ? 1 : 0), "transB": .int(transY ? 1 : 0)])
    }
    let (a, b) = (try e.input(node, 0), try e.input(node, 1))
    if e.isActive(node, 0) {
      results[0] = transA ? try product(b, transB, dy, true) : try product(dy, false, b, !transB)
    }
    if e.isActive(node, 1) {
      results[1] = transB ? try product(dy, true, a, transA) : try product(a, !transA, dy, false)
    }
    if e.isActive(node, 2) {
      results[2] = try e.sum(e.scaled(dy, by: beta), to: e.shape(e.input(node, 2)))
    }
    return results
  }
}
