public import Graph

extension Node {
  /// Attributes of our own domain: what was joined with a node.
  private static let own: Set<String> = ["activation", "activation_parameters", "body", Conv.pooled]

  /// This node as one of our own domain. Attributes that a file has under those names are not ours.
  public var owned: Node {
    guard domain != "limpid" else { return self }
    var node = self
    node.domain = "limpid"
    node.attributes = attributes.filter { !Self.own.contains($0.key) }
    return node
  }
}
