import Graph
import Kernels
import Models
import Operators
import Parallel
import Tensors

/// A product with a known matrix, which alone reads a value [rows, …], perhaps under another shape: a fully connected
/// layer. Where few elements of the value differ from one that has run, only their rows of the matrix are needed.
struct KnownProduct {
  /// Its result, [rows, columns].
  let result: ValueID
  let depth, columns: Int
  /// [depth, columns] by the strides of `placed`.
  private let matrix: Tensor
  private let depthStride, columnStride: Int
  let factor: Float
  /// What it adds to each row, where it adds anything.
  let bias: [Float]?
  /// Whether it adds something that is not a row known beforehand.
  let addsMore: Bool

  fileprivate init?(_ node: Node, _ trace: Emitter, rows: Int, depth: Int) {
    guard node.domain.isEmpty, ["Gemm", "MatMul"].contains(node.operation), node.outputs.count == 1,
      let result = node.outputs[0], let output = try? trace.shape(result), output.count == 2, output[0] == rows,
      let matrix = try? trace.constant(node, 1), matrix.type == .float32, matrix.shape.rank == 2,
      let isTransposed = try? node.flag("transB"), let factor = try? node.float("alpha", default: 1),
      let beta = try? node.float("beta", default: 1), (try? node.flag("transA")) == false,
      matrix.shape[isTransposed ? 1 : 0] == depth
    else { return nil }
    self.result = result
    self.matrix = matrix
    self.factor = node.operation == "Gemm" ? factor : 1
    self.depth = depth
    columns = output[1]
    (depthStride, columnStride) = isTransposed ? (1, depth) : (columns, 1)
    let addsAny = node.operation == "Gemm" && node.input(2) != nil && beta != 0
    bias = addsAny ? trace.row(node, 2, columns: columns)?.map { $0 * beta } : nil
    addsMore = addsAny && bias == nil
  }

  /// The matrix, while it lives.
  var placed: Kernels.PlacedMatrix {
    Kernels.PlacedMatrix(matrix.data, rowStride: depthStride, columnStride: columnStride)
  }

  /// Whether the elements of a column lie together.
  var isTransposed: Bool { depthStride == 1 }

  /// Row 0 of `target`, [1 + rows, wanted columns], is given; row 1 + i becomes that and what it gains where elements
  /// `places[i]` grow by `growth`.
  func add(
    _ growth: UnsafePointer<Float>, at places: [[Int]], columns wanted: [Int], to target: UnsafeMutablePointer<Float>,
    _ parallel: Parallel
  ) {
    let matrix = matrix.data
    let isWhole = wanted.count == columns
    parallel.forEach(places.count) { rows in
      for row in rows {
        let own = target + (1 + row) * wanted.count
        own.update(from: target, count: wanted.count)
        for place in places[row] {
          let change = growth[place] * factor
          let weights = matrix + 4 * place * depthStride
          if isWhole && columnStride == 1 {
            for n in 0..<wanted.count {
              own[n] += change * weights.loadUnaligned(fromByteOffset: 4 * n, as: Float.self)
            }
          } else {
            for (n, column) in wanted.enumerated() {
              own[n] += change * weights.loadUnaligned(fromByteOffset: 4 * column * columnStride, as: Float.self)
            }
          }
        }
      }
    }
  }

  /// Row 0 of `target`, [1 + rows, wanted columns], becomes the product of `whole`; row 1 + i that and what it gains
  /// where elements `places[i]`, which lie together, grow by `growth`. For transposed matrices.
  func multiply(
    _ whole: UnsafePointer<Float>, _ growth: UnsafePointer<Float>, at places: [[Int]], columns wanted: [Int],
    bias: [Float]?, to target: UnsafeMutablePointer<Float>, _ kernels: Kernels, _ parallel: Parallel
  ) {
    // Whole vectors of any width; what does not grow in them is 0.
    let longest = places.reduce(1) { max($0, $1.count) }
    let length = min(depth, longest.roundedUp(to: 16))
    let firsts = places.map { min($0.first ?? 0, depth - length) }
    var changes = [Float](repeating: 0, count: places.count * length)
    for (row, places) in places.enumerated() {
      for place in places { changes[row * length + place - firsts[row]] = factor * growth[place] }
    }
    let scaled = factor == 1 ? nil : (0..<depth).map { factor * whole[$0] }
    let bias = bias.map { bias in wanted.map { bias[$0] } }
    func run(_ whole: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?) {
      kernels.multiplyTransposed(
        depth: depth, whole, bias: bias, changes: changes, length: length, firsts: firsts, matrix.data,
        columns: wanted, into: target, parallel)
    }
    let row = scaled ?? []
    row.withUnsafeBufferPointer { row in
      let whole = scaled == nil ? whole : row.baseAddress ?? whole
      if let bias { bias.withUnsafeBufferPointer { run(whole, $0.baseAddress) } } else { run(whole, nil) }
    }
  }
}

extension Emitter {
  /// Input `i` of a node, where it is known and one row of so many columns.
  fileprivate func row(_ node: Node, _ i: Int, columns: Int) -> [Float]? {
    guard let tensor = try? constant(node, i), tensor.type == .float32, tensor.count == columns,
      tensor.shape.dimensions.last == columns
    else { return nil }
    return tensor.array(of: Float.self)
  }
}

extension LayerTail {
  private var live: Set<Int> {
    Set(trace.graph.live(for: [target], known: Set(trace.graph.constants.keys).union([value])))
  }

  /// The node that alone reads `value` on the way to the scores.
  private func reader(of value: ValueID, _ consumers: [ValueID: [Int]], _ live: Set<Int>) -> Node? {
    guard let readers = consumers[value].map({ Set($0).intersection(live) }), readers.count == 1,
      let reader = readers.first
    else { return nil }
    return trace.graph.nodes[reader]
  }

  /// Whether `node` gives its first input another shape and keeps rows of `depth` elements.
  private func isView(_ node: Node, depth: Int) -> Bool {
    guard ["Flatten", "Reshape", "Squeeze", "Identity"].contains(node.operation), node.domain.isEmpty,
      let output = node.outputs[0], let shape = try? trace.shape(output)
    else { return false }
    return shape.first == rows && shape.dropFirst().reduce(1, *) == depth
  }

  /// The product that alone reads `value` on the way to the scores, but for nodes that give it another shape.
  func knownProduct(behind value: ValueID) -> KnownProduct? {
    let (live, consumers) = (live, trace.graph.consumers())
    guard let shape = try? trace.shape(value), shape.first == rows else { return nil }
    let depth = shape.dropFirst().reduce(1, *)
    var end = value
    while let node = reader(of: end, consumers, live), node.inputs.first == end,
      !node.inputs.dropFirst().contains(end)
    {
      if let product = KnownProduct(node, trace, rows: rows, depth: depth) { return product }
      guard isView(node, depth: depth), let output = node.outputs[0], output != target else { return nil }
      end = output
    }
    return nil
  }

  /// The fully connected layers from `product` on, where there is nothing else before the scores.
  func knownLayers(from product: KnownProduct) -> KnownLayers? {
    guard !product.addsMore else { return nil }
    let (live, consumers) = (live, trace.graph.consumers())
    var layers = [KnownLayers.Layer(product)]
    var end = product.result
    while end != target {
      let last = layers.count - 1
      let columns = layers[last].product.columns
      guard let node = reader(of: end, consumers, live), node.outputs.count == 1, let output = node.outputs[0] else {
        return nil
      }
      if node.operation == "Add", node.domain.isEmpty, layers[last].activation == nil,
        let place = node.inputs.firstIndex(of: end), let row = trace.row(node, 1 - place, columns: columns)
      {
        layers[last].add(row)
      } else if node.inputs.first == end, let next = KnownProduct(node, trace, rows: rows, depth: columns),
        !next.addsMore
      {
        layers.append(KnownLayers.Layer(next))
      } else if node.domain.isEmpty, layers[last].activation == nil, node.inputs == [end],
        (try? Activation.parameters(of: node)) != nil, let activation = try? Activation(node.operation, of: node)
      {
        layers[last].activation = activation.function
      } else if node.inputs.first != end || !isView(node, depth: columns) {
        return nil
      }
      end = output
    }
    return KnownLayers(layers: layers)
  }
}
