import Documents
import Kernels
import Models
import Tensors

/// An option of a command: "--top N".
struct Option {
  let name: String
  /// What stands for the value in help; nil for a flag.
  let value: String?
  let summary: String

  init(_ name: String, _ value: String, _ summary: String) {
    (self.name, self.value, self.summary) = (name, value, summary)
  }

  init(flag name: String, _ summary: String) {
    (self.name, self.value, self.summary) = (name, nil, summary)
  }

  static let json = Option(flag: "json", "write one JSON document")
  static let threads = Option("threads", "N", "threads to use (default: one per core)")
}

/// What a command takes. One table feeds the parser and the help.
struct Usage {
  let name: String
  /// How help shows the operands.
  let operands: String
  let operandCount: ClosedRange<Int>
  let summary: String
  let options: [Option]

  /// "limpid classify MODEL IMAGE… [options]"
  var line: String {
    (["limpid", name, operands, options.isEmpty ? "" : "[options]"]).filter { !$0.isEmpty }.joined(separator: " ")
  }

  var help: String {
    let names = options.map { "  --\($0.name)" + ($0.value.map { " " + $0 } ?? "") }
    let width = names.map(\.count).max() ?? 0
    let lines = zip(names, options).map { $0.padded(to: width) + "  " + $1.summary }
    return ([summary, "", "usage: \(line)"] + (lines.isEmpty ? [] : [""] + lines)).joined(separator: "\n") + "\n"
  }
}

/// The words after a command's name, sorted into operands and options.
///
/// Options may stand anywhere; "--name=value" is the same as "--name value"; "--" ends them. Of an option that is given
/// twice the last one counts, except where a command takes all. Everything here throws `invalidArgument`.
struct Arguments {
  let operands: [String]
  /// What a shell would take to call the command again.
  let commandLine: String
  private let values: [String: [String]]

  init(_ words: ArraySlice<String>, for usage: Usage) throws {
    commandLine = (["limpid", usage.name] + words.map(\.shellWord)).joined(separator: " ")
    var words = words
    var operands: [String] = []
    var values: [String: [String]] = [:]
    while let word = words.popFirst() {
      if word == "--" {
        operands += words
        break
      }
      guard word.hasPrefix("-"), word != "-" else {
        operands.append(word)
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let option = usage.options.first(where: { "--" + $0.name == parts[0] }) else {
        let meant = suggestion(for: String(parts[0]), among: usage.options.map { "--" + $0.name })
        throw Failure(
          .invalidArgument,
          "there is no option \(quoted(String(parts[0])))" + (meant.isEmpty ? "" : "; " + meant.dropLast()))
      }
      let given = parts.count > 1 ? String(parts[1]) : nil
      guard let placeholder = option.value else {
        guard given == nil else { throw Failure(.invalidArgument, "--\(option.name) takes no value") }
        values[option.name] = []
        continue
      }
      // A value that looks like an option is more likely a forgotten value; "=" says that it is meant.
      let next = words.first.flatMap { $0.hasPrefix("--") ? nil : $0 }
      guard let value = given ?? next else {
        throw Failure(.invalidArgument, "--\(option.name) needs a value: --\(option.name) \(placeholder)")
      }
      if given == nil { words.removeFirst() }
      values[option.name, default: []].append(value)
    }
    guard usage.operandCount.contains(operands.count) else {
      let problem = operands.count < usage.operandCount.lowerBound ? "too few" : "too many"
      throw Failure(.invalidArgument, "\(problem) arguments")
    }
    self.operands = operands
    self.values = values
  }

  func flag(_ name: String) -> Bool { values[name] != nil }

  func all(_ name: String) -> [String] { values[name] ?? [] }

  /// What is given as NAME=VALUE, each name once.
  func pairs(_ option: String, like example: String) throws -> [(name: String, value: String)] {
    var pairs: [(name: String, value: String)] = []
    for text in all(option) {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw Failure(.invalidArgument, "--\(option) is \(quoted(text)); it must be like \(example)")
      }
      pairs.removeAll { $0.name == parts[0] }
      pairs.append((parts[0], parts[1]))
    }
    return pairs
  }

  func text(_ name: String) -> String? { values[name]?.last }

  func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let text = text(name) else { return nil }
    guard let value = Int(text), range.contains(value) else {
      let bounds =
        range.upperBound == Int.max ? "from \(range.lowerBound)" : "in \(range.lowerBound)…\(range.upperBound)"
      throw Failure(.invalidArgument, "--\(name) is \(quoted(text)); it must be a whole number \(bounds)")
    }
    return value
  }

  func precision() throws -> Precision {
    try text("precision").map { try Precision(named: $0, "--precision") } ?? .float32
  }

  func threads() throws -> Int? { try integer("threads", in: 1...1024) }

  func number(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
    guard let text = text(name) else { return nil }
    guard let value = Double(text), range.contains(value) else {
      throw Failure(
        .invalidArgument,
        "--\(name) is \(quoted(text)); it must be a number in \(range.lowerBound)…\(range.upperBound)")
    }
    return value
  }
}
