import Tensors

/// A parameter of an explanation method or of another long call. One table feeds the C query functions, the bindings'
/// help and the CLI.
public struct Parameter: Sendable {
  public let name: String
  /// One sentence, with unit and source where there is one.
  public let summary: String
  public let defaultValue: Double
  public let range: ClosedRange<Double>

  public init(_ name: String, default defaultValue: Double, in range: ClosedRange<Double>, _ summary: String) {
    self.name = name
    self.summary = summary
    self.defaultValue = defaultValue
    self.range = range
  }
}

extension [Parameter] {
  /// A value for each parameter: what is given, else the default. Throws `notFound` for names that are not in this
  /// table, `invalidArgument` for values out of range. `owner` is how messages call what they belong to.
  public func values(_ given: [String: Double], of owner: String) throws -> [String: Double] {
    var values: [String: Double] = [:]
    for parameter in self { values[parameter.name] = parameter.defaultValue }
    for (name, value) in given {
      guard let parameter = first(where: { $0.name == name }) else {
        let known = map(\.name).joined(separator: ", ")
        throw Failure(
          .notFound,
          "\(owner) has no parameter \"\(name)\"; " + (known.isEmpty ? "it has none" : "it has \(known)"))
      }
      guard parameter.range.contains(value) else {
        throw Failure(
          .invalidArgument,
          "the parameter \"\(name)\" is \(value); it must be between \(parameter.range.lowerBound) and "
            + "\(parameter.range.upperBound)")
      }
      values[name] = value
    }
    return values
  }
}
