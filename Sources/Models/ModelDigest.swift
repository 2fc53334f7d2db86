import Documents
import Graph
import Parallel
import Tensors

extension Model {
  /// SHA-256 of what the model computes: its graph, weights, and what the file says of them. Found once.
  public var digest: String {
    knownDigest.withLock { known in
      if let known { return known }
      let found = ModelDigest.text(of: self)
      known = found
      return found
    }
  }
}

private enum ModelDigest {
  static func text(of model: Model) -> String {
    var digest = Digest()
    add(model.fileGraph, to: &digest)
    for (key, value) in model.metadata.entries.sorted(by: { $0.key < $1.key }) {
      digest.update(key)
      digest.update(value)
    }
    return digest.text
  }

  private static func add(_ graph: Graph, to digest: inout Digest) {
    for (domain, version) in graph.opsets.sorted(by: { $0.key < $1.key }) { digest.update("\(domain) \(version)") }
    for declaration in graph.inputs + graph.outputs {
      digest.update("\(declaration.value.index) \(declaration.type) \(String(describing: declaration.dimensions))")
      digest.update(graph.name(of: declaration.value))
    }
    for node in graph.nodes {
      digest.update("\(node.domain) \(node.operation) \(node.version ?? 0)")
      for value in node.inputs + node.outputs { digest.update(number: value?.index ?? -1) }
      for (name, attribute) in node.attributes.sorted(by: { $0.key < $1.key }) {
        digest.update(name)
        add(attribute, to: &digest)
      }
    }
    for (value, tensor) in graph.constants.sorted(by: { $0.key < $1.key }) {
      digest.update(number: value.index)
      add(tensor, to: &digest)
    }
  }

  private static func add(_ attribute: Attribute, to digest: inout Digest) {
    switch attribute {
    case .int(let value): digest.update("int \(value)")
    case .float(let value): digest.update("float \(value)")
    case .string(let value): digest.update(value)
    case .tensor(let value): add(value, to: &digest)
    case .graph(let value): add(value, to: &digest)
    case .ints(let values): digest.update("ints \(values)")
    case .floats(let values): digest.update("floats \(values)")
    case .strings(let values): for value in values { digest.update(value) }
    }
  }

  private static func add(_ tensor: Tensor, to digest: inout Digest) {
    digest.update("\(tensor.type) \(tensor.shape)")
    digest.update(tensor.bytes)
    tensor.release()
  }
}
