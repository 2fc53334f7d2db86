import Tensors

extension Model {
  /// The class of this label, nil where there is none. Throws `invalidArgument` where several have it.
  public func classIndex(labelled label: String) throws -> Int? {
    let found = metadata.labels.indices.filter { metadata.labels[$0] == label }
    guard found.count < 2 else {
      throw Failure(
        .invalidArgument,
        "several classes are labelled \(quoted(label)): \(found.map(String.init).joined(separator: ", ")); give the number "
          + "of one")
    }
    return found.first
  }

  public func label(of index: Int) -> String? {
    metadata.labels.indices.contains(index) ? metadata.labels[index] : nil
  }

  /// "Egyptian cat", "crane (517)" where another class has the same label, "class 285" where it has none.
  public func displayName(of index: Int) -> String {
    guard let label = label(of: index), !label.isEmpty else { return "class \(index)" }
    return metadata.labels.count { $0 == label } > 1 ? "\(label) (\(index))" : label
  }
}

extension Scores {
  /// The indices of the largest values, largest first, of equal ones the first; NaN comes last.
  public static func best(_ count: Int, of values: [Float]) -> [Int] {
    let order = values.indices.sorted { a, b in
      if values[a].isNaN || values[b].isNaN { return !values[a].isNaN || (values[b].isNaN && a < b) }
      return values[a] != values[b] ? values[a] > values[b] : a < b
    }
    return Array(order.prefix(count))
  }
}
