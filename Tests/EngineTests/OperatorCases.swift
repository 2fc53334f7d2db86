import Engine
import Graph
import Kernels
import Parallel
import Tensors

/// One call of an operator with its expected results, as `scripts/make-operator-cases` wrote it.
struct OperatorCase: Sendable {
  let name: String
  let operation: String
  let opset: Int
  let tolerance: Float
  let attributes: [String: Attribute]
  let inputs: [Tensor?]
  let outputs: [Tensor?]
}

/// Reads a file of cases: little-endian numbers, texts and lists preceded by their length.
struct OperatorCaseFile {
  private let file: MappedFile
  private var position = 0

  static func cases(at path: String) throws -> [OperatorCase] {
    var reader = OperatorCaseFile(file: try path.withCString { try MappedFile(path: $0) })
    return try (0..<reader.count()).map { _ in try reader.next() }
  }

  private init(file: MappedFile) { self.file = file }

  private mutating func number<T: BitwiseCopyable>(_: T.Type = T.self) throws -> T {
    let size = MemoryLayout<T>.size
    guard position + size <= file.bytes.count else { throw Failure(.io, "the file of cases ends early") }
    defer { position += size }
    return file.bytes.loadUnaligned(fromByteOffset: position, as: T.self)
  }

  private mutating func count() throws -> Int { Int(try number(UInt32.self)) }

  private mutating func text() throws -> String {
    String(decoding: try (0..<count()).map { _ in try number(UInt8.self) }, as: UTF8.self)
  }

  private mutating func tensor() throws -> Tensor? {
    guard let type = ElementType(rawValue: try number()) else { return nil }
    let shape = try Shape(checking: (0..<count()).map { _ in Int(try number(Int64.self)) })
    let tensor = try Tensor(type, shape)
    for i in 0..<tensor.byteCount {
      tensor.data.storeBytes(of: try number(UInt8.self), toByteOffset: i, as: UInt8.self)
    }
    return tensor
  }

  private mutating func attribute() throws -> (String, Attribute) {
    let key = try text()
    switch try number(Int32.self) {
    case 1: return (key, .int(Int(try number(Int64.self))))
    case 2: return (key, .float(try number()))
    case 3: return (key, .string(try text()))
    case 4: return (key, .ints(try (0..<count()).map { _ in Int(try number(Int64.self)) }))
    case 5: return (key, .floats(try (0..<count()).map { _ in try number() }))
    case 6: return (key, .tensor(try tensor() ?? Tensor([Float](), [0])))
    default: return (key, .strings(try (0..<count()).map { _ in try text() }))
    }
  }

  private mutating func next() throws -> OperatorCase {
    OperatorCase(
      name: try text(), operation: try text(), opset: try count(), tolerance: try number(),
      attributes: Dictionary(try (0..<count()).map { _ in try attribute() }) { $1 },
      inputs: try (0..<count()).map { _ in try tensor() }, outputs: try (0..<count()).map { _ in try tensor() })
  }
}

extension OperatorCase {
  /// How the operator gets its inputs.
  enum Feeding: CaseIterable {
    /// All are fed, in ONNX order.
    case standard
    /// All are fed; those of rank 3 and above come channels-last.
    case channelsLast
    /// The first is fed, the others are weights.
    case weights
    /// Nothing is fed: the plan computes the result.
    case constants
  }

  /// What is wrong with the results; nil where they are right.
  func check(_ feeding: Feeding, threads: Int = 2) throws -> String? {
    var graph = SmallGraph(opset: opset)
    let operands = inputs.indices.map { inputs[$0] == nil ? nil : "input\($0)" }
    let results = outputs.indices.map { outputs[$0] == nil ? nil : "output\($0)" }
    for case (let i, (let name?, let input?)) in zip(operands, inputs).enumerated() {
      if feeding == .constants || feeding == .weights && i > 0 {
        graph.constant(name, input)
      } else if feeding == .channelsLast, input.shape.rank >= 3, input.type == .float32 {
        try graph.feedChannelsLast(name, input)
      } else {
        graph.feed(name, input)
      }
    }
    graph.node(operation, operands, results, attributes)
    for case (let name?, let expected?) in zip(results, outputs) {
      graph.graph.outputs.append(Declaration(value: graph.value(name), type: expected.type, dimensions: nil))
    }
    let found = try graph.run(fetch: results.compactMap(\.self), try Kernels.selected(), threads: threads)
    for (i, (found, expected)) in zip(found, outputs.compactMap(\.self)).enumerated() {
      if let problem = try difference(found, expected) { return "output \(i): \(problem)" }
    }
    return nil
  }

  private func difference(_ found: Tensor, _ expected: Tensor) throws -> String? {
    guard found.type == expected.type, found.shape == expected.shape else {
      return "\(found.type) \(found.shape); expected \(expected.type) \(expected.shape)"
    }
    guard found.type.computed == .float32 else {
      return found.bytes.elementsEqual(expected.bytes) ? nil : "other values"
    }
    let pairs = zip(try found.computed().array(of: Float.self), try expected.computed().array(of: Float.self))
    for (i, (a, b)) in pairs.enumerated() where a != b && !(a.isNaN && b.isNaN) {
      guard abs(a - b) <= tolerance * max(abs(b), 1e-2) else { return "element \(i) is \(a); expected \(b)" }
    }
    return nil
  }
}

extension SmallGraph {
  /// Feeds `tensor` with its channels last, and gives `name` ONNX's order again; a plan takes it channels-last from
  /// there.
  fileprivate mutating func feedChannelsLast(_ name: String, _ tensor: Tensor) throws {
    let last = tensor.shape.rank - 1
    let copy = try Tensor(
      tensor.type, Shape(trusted: [tensor.shape[0]] + tensor.shape.dimensions[2...] + [tensor.shape[1]]))
    try Kernels(.portable).permute(
      tensor.data, shape: tensor.shape.dimensions, permutation: [0] + Array(2...last) + [1], elementSize: 4,
      into: copy.data, .serial)
    feed("fed " + name, copy)
    node("Transpose", ["fed " + name], [name], ["perm": .ints([0, last] + Array(1..<last))])
  }
}
