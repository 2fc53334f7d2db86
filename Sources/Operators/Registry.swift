import Graph

/// Every operator, by name. To add one, write its `plan` and list it here.
public enum Operators {
  /// nil where Limpid does not know the operator.
  public static func definition(_ name: String, domain: String) -> OperatorDefinition? {
    index[domain == "ai.onnx" ? "" : domain]?[name]
  }

  public static let all: [OperatorDefinition] = []

  private static let index: [String: [String: OperatorDefinition]] = Dictionary(grouping: all, by: \.domain)
    .mapValues { Dictionary($0.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }) }
}
