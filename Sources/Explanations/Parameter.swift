import Tensors

/// What a parameter is given: a number, or a word.
public enum ParameterValue: Sendable, Hashable, CustomStringConvertible {
  case number(Double)
  case text(String)

  /// Whole numbers without ".0".
  public var description: String {
    switch self {
    case .text(let text): return text
    case .number(let number):
      let text = "\(number)"
      return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
  }
}

extension ParameterValue: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(stringLiteral value: String) { self = .text(value) }
}

/// A parameter of an explanation method or of another long call. One table feeds the C query functions, the bindings'
/// help and the command line.
public struct Parameter: Sendable {
  public enum Kind: Sendable {
    case number(default: Double, range: ClosedRange<Double>, isInteger: Bool)
    case choice([String], default: String)
  }

  public let name: String
  /// One sentence, with unit and source where there is one.
  public let summary: String
  public let kind: Kind
  /// Whether several numbers may be given, with commas between: "0.1,0.3".
  public private(set) var takesSeveral = false
  /// The default where it is more than one number.
  private var severalByDefault: String?
  /// A parameter and those of its words beside which this one has an effect.
  public private(set) var companion: (name: String, words: [String])?
  /// Draws that stand in its place where they are fed.
  public private(set) var standIn: String?

  public init(_ name: String, default defaultValue: Double, in range: ClosedRange<Double>, _ summary: String) {
    self.name = name
    self.summary = summary
    kind = .number(default: defaultValue, range: range, isInteger: false)
  }

  /// A number, or several.
  public init(_ name: String, several defaults: Double..., in range: ClosedRange<Double>, _ summary: String) {
    self.init(name, default: defaults[0], in: range, summary)
    takesSeveral = true
    if defaults.count > 1 { severalByDefault = defaults.map { "\($0)" }.joined(separator: ",") }
  }

  /// A whole number; others are refused.
  public init(_ name: String, default defaultValue: Int, in range: ClosedRange<Int>, _ summary: String) {
    self.name = name
    self.summary = summary
    kind = .number(
      default: Double(defaultValue), range: Double(range.lowerBound)...Double(range.upperBound), isInteger: true)
  }

  /// One of several words.
  public init(_ name: String, choices: [String], default defaultChoice: String, _ summary: String) {
    precondition(choices.contains(defaultChoice))
    self.name = name
    self.summary = summary
    kind = .choice(choices, default: defaultChoice)
  }

  /// One of the words of an enumeration.
  public init<Choice: CaseIterable & RawRepresentable<String>>(
    _ name: String, default defaultChoice: Choice, _ summary: String
  ) {
    self.init(
      name, choices: Choice.allCases.map(\.rawValue), default: defaultChoice.rawValue, summary)
  }

  /// The same, with an effect only where the parameter `name` is one of `words`: elsewhere it is refused.
  public func read(with name: String, _ words: [String]) -> Parameter {
    var parameter = self
    parameter.companion = (name, words)
    return parameter
  }

  /// The same, with an effect only where the draws `name` are not fed: elsewhere it is refused.
  public func read(withoutDraws name: String) -> Parameter {
    var parameter = self
    parameter.standIn = name
    return parameter
  }

  public var defaultValue: ParameterValue {
    switch kind {
    case .number(let value, _, _): severalByDefault.map { .text($0) } ?? .number(value)
    case .choice(_, let word): .text(word)
    }
  }

  /// `value` in the form of this kind; 1 and 0 stand for yes and no. Throws `invalidArgument` where it is of another
  /// kind, or out of range.
  func checked(_ value: ParameterValue) throws -> ParameterValue {
    if case .choice(let words, _) = kind, case .number(let number) = value, words.contains("yes"), words.contains("no"),
      number == 0 || number == 1
    {
      return .text(number == 1 ? "yes" : "no")
    }
    if takesSeveral, case .text(let list) = value {
      for part in list.split(separator: ",", omittingEmptySubsequences: false) {
        try check(Double(part).map { .number($0) } ?? value)
      }
      return value
    }
    try check(value)
    return value
  }

  private func check(_ value: ParameterValue) throws {
    let title = "the parameter \(quoted(name))"
    switch (kind, value) {
    case (.choice(let words, _), .text(let word)):
      guard words.contains(word) else {
        throw Failure(.invalidArgument, "\(title) is \(quoted(word)); it must be \(Self.list(words))")
      }
    case (.choice(let words, _), .number):
      throw Failure(.invalidArgument, "\(title) is \(value); it must be a word: \(Self.list(words))")
    case (.number(_, let range, let isInteger), .number(let number)):
      guard range.contains(number), !isInteger || number == number.rounded() else {
        let (low, high) = (ParameterValue.number(range.lowerBound), ParameterValue.number(range.upperBound))
        throw Failure(
          .invalidArgument,
          "\(title) is \(value); it must be a \(isInteger ? "whole " : "")number between \(low) and \(high)")
      }
    case (.number, .text(let word)):
      throw Failure(.invalidArgument, "\(title) is \(quoted(word)); it must be a number")
    }
  }

  private static func list(_ words: [String]) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
  }
}

/// The values of a table of parameters in one call.
public struct Settings: Sendable {
  /// In the order of the table.
  public let values: [(name: String, value: ParameterValue)]
  /// The names of those that are not as they are by default.
  private let changed: Set<String>

  /// What is given, else the defaults. Throws `notFound` for names that are not in the table, `invalidArgument` for
  /// values of another kind or out of range, and for those without an effect beside the others and the `draws` that are
  /// fed; a default is never refused. `owner` is how messages call what the table belongs to.
  public init(
    _ table: [Parameter], _ given: [String: ParameterValue], draws: Set<String> = [], of owner: String
  ) throws {
    var given = given
    for (name, value) in given.sorted(by: { $0.key < $1.key }) {
      guard let parameter = table.first(where: { $0.name == name }) else {
        let known = table.map(\.name).joined(separator: ", ")
        throw Failure(
          .notFound,
          "\(owner) has no parameter \(quoted(name)); " + suggestion(for: name, among: table.map(\.name))
            + (known.isEmpty ? "it has none" : "it has \(known)"))
      }
      given[name] = try parameter.checked(value)
    }
    values = table.map { ($0.name, given[$0.name] ?? $0.defaultValue) }
    changed = Set(zip(table, values).filter { $0.defaultValue != $1.value }.map(\.1.name))
    for parameter in table where changed.contains(parameter.name) {
      guard let rival = rival(of: parameter, draws) else { continue }
      throw Failure(
        .invalidArgument, "\(owner) with \(rival) does not read the parameter \(quoted(parameter.name)); leave it out")
    }
  }

  /// What keeps `parameter` from having an effect.
  private func rival(of parameter: Parameter, _ draws: Set<String>) -> String? {
    if let name = parameter.standIn, draws.contains(name) { return "the draws \(quoted(name))" }
    guard let (name, words) = parameter.companion, let value = value(name), !words.contains(value.description) else {
      return nil
    }
    return "\(name) \(value)"
  }

  /// The value of a parameter that counts what draws may hold, of which `fed` are fed. Throws where both say it, and
  /// differ.
  public func count(_ name: String, fed: Int?) throws -> Int {
    let count = try integer(name)
    guard let fed, fed != count else { return count }
    guard !changed.contains(name) else {
      throw Failure(
        .invalidArgument, "the parameter \(quoted(name)) is \(count), but the draws have \(fed) of them; leave it out")
    }
    return fed
  }

  /// The value of a parameter that is in the table.
  public func number(_ name: String) throws -> Double {
    guard case .number(let number)? = value(name) else { throw Self.lacking(name, "number") }
    return number
  }

  /// Those of a parameter that takes several.
  public func numbers(_ name: String) throws -> [Double] {
    if case .text(let list)? = value(name) { return list.split(separator: ",").compactMap { Double($0) } }
    return [try number(name)]
  }

  public func integer(_ name: String) throws -> Int {
    guard let integer = Int(exactly: try number(name)) else { throw Self.lacking(name, "whole number") }
    return integer
  }

  public func word(_ name: String) throws -> String {
    guard case .text(let word)? = value(name) else { throw Self.lacking(name, "word") }
    return word
  }

  public func choice<Choice: RawRepresentable<String>>(_ name: String, _: Choice.Type = Choice.self) throws -> Choice {
    guard let choice = Choice(rawValue: try word(name)) else { throw Self.lacking(name, "choice") }
    return choice
  }

  private func value(_ name: String) -> ParameterValue? { values.first { $0.name == name }?.value }

  /// A table and the code that reads it do not fit together.
  private static func lacking(_ name: String, _ kind: String) -> Failure {
    Failure(.internal, "there is no parameter \(quoted(name)) that is a \(kind)")
  }
}

/// Random draws, or other numbers, that a caller may feed to a method: "noise", "grid", "baseline".
public struct Draw: Sendable {
  public let name: String
  /// Element type, shape, and what is used where it is not given.
  public let summary: String

  public init(_ name: String, _ summary: String) {
    self.name = name
    self.summary = summary
  }
}
