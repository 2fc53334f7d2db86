public import Tensors

/// Typed access to a node's attributes, with an error that names the attribute and what was expected.
extension Node {
  private func wrong(_ key: String, _ expected: String) -> Failure {
    Failure(.invalidModel, "attribute \(quoted(key)) must be \(expected)")
  }

  public func int(_ key: String) throws -> Int? {
    guard let attribute = attributes[key] else { return nil }
    guard case .int(let value) = attribute else { throw wrong(key, "an integer") }
    return value
  }

  public func int(_ key: String, default fallback: Int) throws -> Int { try int(key) ?? fallback }
  public func flag(_ key: String, default fallback: Bool = false) throws -> Bool {
    try int(key).map { $0 != 0 } ?? fallback
  }

  public func float(_ key: String) throws -> Float? {
    guard let attribute = attributes[key] else { return nil }
    guard case .float(let value) = attribute else { throw wrong(key, "a number") }
    return value
  }

  public func float(_ key: String, default fallback: Float) throws -> Float { try float(key) ?? fallback }

  public func string(_ key: String) throws -> String? {
    guard let attribute = attributes[key] else { return nil }
    guard case .string(let value) = attribute else { throw wrong(key, "a text") }
    return value
  }

  public func string(_ key: String, default fallback: String) throws -> String { try string(key) ?? fallback }

  public func ints(_ key: String) throws -> [Int]? {
    guard let attribute = attributes[key] else { return nil }
    guard case .ints(let value) = attribute else { throw wrong(key, "a list of integers") }
    return value
  }

  public func floats(_ key: String) throws -> [Float]? {
    guard let attribute = attributes[key] else { return nil }
    guard case .floats(let value) = attribute else { throw wrong(key, "a list of numbers") }
    return value
  }

  public func strings(_ key: String) throws -> [String]? {
    guard let attribute = attributes[key] else { return nil }
    guard case .strings(let value) = attribute else { throw wrong(key, "a list of texts") }
    return value
  }

  public func tensor(_ key: String) throws -> Tensor? {
    guard let attribute = attributes[key] else { return nil }
    guard case .tensor(let value) = attribute else { throw wrong(key, "a tensor") }
    return value
  }

  public func graph(_ key: String) throws -> Graph? {
    guard let attribute = attributes[key] else { return nil }
    guard case .graph(let value) = attribute else { throw wrong(key, "a graph") }
    return value
  }

  /// "Conv 'conv1'" or "Conv": how error messages name this node.
  public var title: String {
    let kind = quoted(domain.isEmpty || domain == "limpid" ? operation : "\(domain).\(operation)").dropFirst()
      .dropLast()
    return name.isEmpty ? String(kind) : "\(kind) \(quoted(name))"
  }
}
