// SPDX-License-Identifier: Apache-2.0
import Graph
import Tensors

/// MatMulNBits: a product with weights of 2, 4 or 8 bits, each block of which along the sum has a scale. They are
/// unpacked when the file is read: the product is then one of float32.
extension Lowering {
  static let packedRules: [String: Rule] = ["MatMulNBits": packedProduct]

  /// Inputs: A, weights [N, blocks, bytes of a block], scales [N × blocks], zero points (packed as the weights are, or
  /// in the type of the scales), group indices, bias [N].
  private static func packedProduct(_ lowering: inout Lowering, _ node: Node) throws {
    try lowering.refuse(node, inputs: 4..<5, "g_idx")
    let bits = try node.int("bits", default: 4)
    guard let n = try node.int("N"), let k = try node.int("K"), let block = try node.int("block_size"),
      [2, 4, 8].contains(bits), n > 0, k > 0, block >= 16, block <= 1 << 20, block.nonzeroBitCount == 1,
      n <= 1 << 24, k <= 1 << 24
    else { throw Failure(.invalidModel, "its bits, N, K or block_size is missing or impossible") }
    func numbers(_ i: Int, _ what: String) throws -> Tensor {
      guard let tensor = lowering.graph.constants[try lowering.input(node, i)] else {
        throw Failure(.unsupported, "\(what) that are no constant are not supported")
      }
      return tensor
    }
    let blocks = (k + block - 1) / block
    let packed = try numbers(1, "weights").integers()
    let scales = try numbers(2, "scales").floats().array(of: Float.self)
    let rowOfZeros = (blocks * bits + 7) / 8
    guard packed.count == n * blocks * (block * bits / 8), scales.count == n * blocks,
      packed.allSatisfy({ (0...255).contains($0) })
    else { throw Failure(.invalidModel, "its weights or scales are not as many as N, K and block_size say") }
    var zeros = [Float](repeating: Float(1 << (bits - 1)), count: n * blocks)
    if node.input(3) != nil {
      let given = try numbers(3, "zero points")
      let isPacked = given.type == .uint8
      guard given.shape.count == (isPacked ? n * rowOfZeros : n * blocks) else {
        throw Failure(.invalidModel, "its zero points are not as many as N, K and block_size say")
      }
      if isPacked {
        let bytes = try given.integers()
        for row in 0..<n {
          for i in 0..<blocks { zeros[row * blocks + i] = Float(element(i, of: bytes, from: row * rowOfZeros, bits)) }
        }
      } else {
        zeros = try given.floats().array(of: Float.self)
      }
    }
    // [K, N], as MatMul reads it.
    var weights = [Float](repeating: 0, count: try Shape(checking: [k, n]).count)
    for row in 0..<n {
      for i in 0..<k {
        let group = row * blocks + i / block
        let level = element(i, of: packed, from: row * blocks * (block * bits / 8), bits)
        weights[i * n + row] = (Float(level) - zeros[group]) * scales[group]
      }
    }
    let bias = node.input(5)
    let product = lowering.emit(
      "MatMul", [try lowering.input(node, 0), lowering.constant(try Tensor(weights, Shape(checking: [k, n])))],
      to: bias == nil ? node.output(0) : nil)
    if let bias { lowering.emit("Add", [product, bias], to: node.output(0)) }
  }

  /// Number `i` of those of `bits` bits each that are packed from byte `start` on, the lowest bits first.
  private static func element(_ i: Int, of bytes: [Int], from start: Int, _ bits: Int) -> Int {
    bytes[start + i * bits / 8] >> (i * bits % 8) & (1 << bits - 1)
  }
}
