public import Tensors

/// Names one value of a `Graph`.
public struct ValueID: Hashable, Sendable, Comparable {
  public let index: Int
  public init(_ index: Int) { self.index = index }
  public static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// An extent that a model file declares: a number, a name that stands for one, or nothing.
public enum Dimension: Sendable, Hashable {
  case fixed(Int)
  case named(String)
  case unknown
}

/// What a model file declares of an input or output.
public struct Declaration: Sendable {
  public let value: ValueID
  public let type: ElementType
  /// nil where the file gives no shape.
  public let dimensions: [Dimension]?

  public init(value: ValueID, type: ElementType, dimensions: [Dimension]?) {
    self.value = value
    self.type = type
    self.dimensions = dimensions
  }
}

/// An attribute of a node.
public enum Attribute: Sendable {
  case int(Int)
  case float(Float)
  case string(String)
  case tensor(Tensor)
  case graph(Graph)
  case ints([Int])
  case floats([Float])
  case strings([String])
}

/// One operator call. `nil` inputs and outputs are optional ones that the model leaves out.
public struct Node: Sendable {
  /// The operator's ONNX name.
  public var operation: String
  /// "" is the ONNX domain; "limpid" is ours, for what the passes make.
  public var domain: String
  /// The node's own name; may be empty.
  public var name: String
  /// The module of the exporting program, "layer4.1.conv2", where the file notes it beside the node.
  public var module: String?
  public var inputs: [ValueID?]
  public var outputs: [ValueID?]
  public var attributes: [String: Attribute]
  /// The version of the ONNX operator set that the node speaks; nil: the one that its file imports.
  public var version: Int?

  public init(
    _ operation: String, domain: String = "", name: String = "", inputs: [ValueID?], outputs: [ValueID?],
    attributes: [String: Attribute] = [:], version: Int? = nil
  ) {
    self.operation = operation
    self.domain = domain
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.version = version
  }

  /// An input or output; nil where it is left out: a file may give a node fewer than its operator has.
  public func input(_ i: Int) -> ValueID? { i < inputs.count ? inputs[i] : nil }
  public func output(_ i: Int) -> ValueID? { i < outputs.count ? outputs[i] : nil }
}

/// A computation in single-assignment form, nodes in an order in which they can run.
public struct Graph: Sendable {
  public var name = ""
  public var nodes: [Node] = []
  /// Value names by index; unique and non-empty, except for values that the passes made.
  public private(set) var names: [String] = []
  private var ids: [String: ValueID] = [:]
  /// Weights and other values known when the model was loaded.
  public var constants: [ValueID: Tensor] = [:]
  /// Constants whose elements cannot be computed with (strings, floats of eight bits), and why.
  public var unreadable: [ValueID: String] = [:]
  /// The inputs that a caller must feed (constants that a file also lists as inputs are not among them).
  public var inputs: [Declaration] = []
  public var outputs: [Declaration] = []
  /// Domain to version.
  public var opsets: [String: Int] = [:]
  public var metadata: [String: String] = [:]

  public init() {}

  public func name(of value: ValueID) -> String { names[value.index] }
  public func value(named name: String) -> ValueID? { ids[name] }
  public var valueCount: Int { names.count }

  /// A new value. An existing or empty name gives a value that cannot be found by name.
  public mutating func addValue(_ name: String = "") -> ValueID {
    let id = ValueID(names.count)
    names.append(name)
    if !name.isEmpty, ids[name] == nil { ids[name] = id }
    return id
  }

  /// Gives `value` another name.
  mutating func rename(_ value: ValueID, _ name: String) {
    ids[names[value.index]] = nil
    names[value.index] = name
    ids[name] = value
  }

  /// The version of the operator set that `node` speaks.
  public func opset(of node: Node) -> Int {
    if let version = node.version { return version }
    let isStandard = ["", "ai.onnx", "limpid"].contains(node.domain)
    return isStandard ? opsets[""] ?? opsets["ai.onnx"] ?? 0 : opsets[node.domain] ?? 0
  }

  /// The index of the node that makes each value.
  public func producers() -> [ValueID: Int] {
    var producers: [ValueID: Int] = [:]
    for (i, node) in nodes.enumerated() {
      for case let output? in node.outputs { producers[output] = i }
    }
    return producers
  }

  /// The indices of the nodes that use each value, themselves or in graphs within them, in order; a node that uses it
  /// twice is listed twice.
  public func consumers() -> [ValueID: [Int]] {
    var consumers: [ValueID: [Int]] = [:]
    for (i, node) in nodes.enumerated() {
      for value in read(by: node) { consumers[value, default: []].append(i) }
    }
    return consumers
  }
}
