import Graph
import Models
import Operators
import Parallel
import Tensors

/// A product with a known matrix, which alone reads a value [rows, …], perhaps under another shape: a fully connected
/// layer. Where few elements of the value differ from one that has run, only their rows of the matrix are needed.
struct KnownProduct {
  /// Its result, [rows, columns].
  let result: ValueID
  let columns: Int
  /// [depth, columns] by these strides.
  private let matrix: Tensor
  private let depthStride, columnStride: Int
  private let factor: Float

  fileprivate init?(_ node: Node, _ trace: Emitter, rows: Int, depth: Int) {
    guard node.domain.isEmpty, ["Gemm", "MatMul"].contains(node.operation), node.outputs.count == 1,
      let result = node.outputs[0], let output = try? trace.shape(result), output.count == 2, output[0] == rows,
      let matrix = try? trace.constant(node, 1), matrix.type == .float32, matrix.shape.rank == 2,
      let isTransposed = try? node.flag("transB"), let factor = try? node.float("alpha", default: 1),
      (try? node.flag("transA")) == false, matrix.shape[isTransposed ? 1 : 0] == depth
    else { return nil }
    self.result = result
    self.matrix = matrix
    self.factor = node.operation == "Gemm" ? factor : 1
    columns = output[1]
    (depthStride, columnStride) = isTransposed ? (1, depth) : (columns, 1)
  }

  /// Adds to row i of `target`, [rows, columns], what it gains where elements `places[i]` grow by `growth`.
  func add(
    _ growth: UnsafePointer<Float>, at places: ArraySlice<[Int]>, to target: UnsafeMutablePointer<Float>,
    _ parallel: Parallel
  ) {
    let matrix = matrix.data
    func weight(_ place: Int, _ column: Int) -> Float {
      matrix.loadUnaligned(fromByteOffset: 4 * (place * depthStride + column * columnStride), as: Float.self)
    }
    if columnStride == 1 {
      return parallel.forEach(places.count) { rows in
        for row in rows {
          let target = target + row * columns
          for place in places[places.startIndex + row] {
            let change = growth[place] * factor
            for column in 0..<columns { target[column] += change * weight(place, column) }
          }
        }
      }
    }
    // Along the rows of the transposed matrix, which lie in memory one after the other.
    parallel.forEach(columns, grain: 16) { range in
      for column in range {
        let weights = matrix + 4 * column * columnStride
        for (row, places) in places.enumerated() {
          target[row * columns + column] += factor * Self.dot(growth, weights, places)
        }
      }
    }
  }

  /// The sum of products of the elements at `places`, which ascend. `weights` may be misaligned.
  private static func dot(_ x: UnsafePointer<Float>, _ weights: UnsafeRawPointer, _ places: [Int]) -> Float {
    guard let first = places.first, let last = places.last, last - first == places.count - 1 else {
      return places.reduce(0) { $0 + x[$1] * weights.loadUnaligned(fromByteOffset: 4 * $1, as: Float.self) }
    }
    var sums = SIMD8<Float>()
    var place = first
    while place + 8 <= last + 1 {
      sums +=
        UnsafeRawPointer(x + place).loadUnaligned(as: SIMD8<Float>.self)
        * weights.loadUnaligned(fromByteOffset: 4 * place, as: SIMD8<Float>.self)
      place += 8
    }
    var sum = sums.sum()
    while place <= last {
      sum += x[place] * weights.loadUnaligned(fromByteOffset: 4 * place, as: Float.self)
      place += 1
    }
    return sum
  }
}

extension LayerTail {
  /// The product that alone reads `value` on the way to the scores, but for nodes that give it another shape.
  func knownProduct(behind value: ValueID) -> KnownProduct? {
    let graph = trace.graph
    let live = Set(graph.live(for: [target], known: Set(graph.constants.keys).union([value])))
    let consumers = graph.consumers()
    guard let shape = try? trace.shape(value), shape.first == rows else { return nil }
    let depth = shape.dropFirst().reduce(1, *)
    var end = value
    while let readers = consumers[end].map({ Set($0).intersection(live) }), readers.count == 1,
      let reader = readers.first,
      case let node = graph.nodes[reader], node.inputs.first == end, !node.inputs.dropFirst().contains(end)
    {
      if let product = KnownProduct(node, trace, rows: rows, depth: depth) { return product }
      guard ["Flatten", "Reshape", "Squeeze", "Identity"].contains(node.operation), let output = node.outputs[0],
        output != target, let shape = try? trace.shape(output), shape.first == rows,
        shape.dropFirst().reduce(1, *) == depth
      else { return nil }
      end = output
    }
    return nil
  }
}
