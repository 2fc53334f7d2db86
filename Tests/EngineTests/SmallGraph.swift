import Engine
import Graph
import Kernels
import Parallel
import Tensors

/// A graph that a test writes down, with values by name.
struct SmallGraph {
  var graph = Graph()
  private(set) var feeds: [(value: ValueID, tensor: Tensor)] = []

  init(opset: Int = 17) { graph.opsets[""] = opset }

  mutating func value(_ name: String) -> ValueID { graph.value(named: name) ?? graph.addValue(name) }

  mutating func constant(_ name: String, _ tensor: Tensor) { graph.constants[value(name)] = tensor }

  mutating func constant(_ name: String, _ numbers: [Int64]) throws {
    constant(name, try Tensor(numbers, [numbers.count]))
  }

  /// What every run is fed, whoever runs the graph.
  mutating func feed(_ name: String, _ tensor: Tensor) { feeds.append((value(name), tensor)) }

  /// Inputs and outputs that the node leaves out are nil.
  mutating func node(
    _ operation: String, domain: String = "", _ inputs: [String?], _ outputs: [String?],
    _ attributes: [String: Attribute] = [:]
  ) {
    graph.nodes.append(
      Node(
        operation, domain: domain, inputs: inputs.map { $0.map { value($0) } },
        outputs: outputs.map { $0.map { value($0) } }, attributes: attributes))
  }

  /// An engine of the portable kernels, within 64 MiB.
  func engine(limit: UInt64 = 64 << 20) throws -> Engine {
    Engine(graph, kernels: try Kernels(.portable), limit: MemoryLimit(bytes: limit))
  }

  func run(_ feeds: [String: Tensor] = [:], fetch: [String], limit: UInt64 = 64 << 20) throws -> [Tensor] {
    try engine(limit: limit).run(feeds, fetch: fetch)
  }

  /// The values `fetch` for what was given to `feed`.
  func run(fetch: [String], _ kernels: Kernels, threads: Int = 1) throws -> [Tensor] {
    try Engine(graph, kernels: kernels, limit: MemoryLimit(bytes: 1 << 30)).run(
      feeds, fetch: fetch.map { graph.value(named: $0)! }, parallel: Parallel(threads: threads), progress: .unwatched)
  }
}

extension Engine {
  func run(
    _ feeds: [String: Tensor], fetch: [String], threads: Int = 1, progress: Progress = .unwatched
  ) throws -> [Tensor] {
    func value(_ name: String) throws -> ValueID {
      guard let value = graph.value(named: name) else { throw Failure(.notFound, name) }
      return value
    }
    return try run(
      feeds.sorted { $0.key < $1.key }.map { (try value($0.key), $0.value) }, fetch: fetch.map(value),
      parallel: Parallel(threads: threads), progress: progress)
  }
}

extension Tensor {
  /// Zeros, for inputs whose values do not matter.
  static func zeros(_ type: ElementType, _ shape: Shape) throws -> Tensor {
    let tensor = try Tensor(type, shape)
    tensor.data.initializeMemory(as: UInt8.self, repeating: 0, count: tensor.byteCount)
    return tensor
  }
}
