import Documents
import Explainers
import Images
import Metrics
import Tensors

/// What a shell completes, from the tables of the help.
struct Completions: Command {
  static let usage = Usage(
    name: "completions", operands: "bash|zsh|fish", operandCount: 1...1,
    summary: "Write what a shell needs to complete commands, options and names.", options: [])

  private let shell: String

  init(_ arguments: Arguments) throws {
    shell = arguments.operands[0]
    guard ["bash", "zsh", "fish"].contains(shell) else {
      throw Failure(.invalidArgument, "there are completions for bash, zsh and fish, not for \(quoted(shell))")
    }
  }

  func run() throws {
    switch shell {
    case "bash": try Console.write(Self.bash)
    // zsh takes bash's, through what it has for that.
    case "zsh": try Console.write("#compdef limpid\nautoload -U +X bashcompinit && bashcompinit\n" + Self.bash)
    default: try Console.write(Self.fish)
    }
  }

  /// What an option's value may be; nil: a file, or what no table knows.
  private static func words(of option: Option) -> [String]? {
    switch option.name {
    case "method", "explain": (Explainers.all + Explainers.controls).map(\.name)
    case "metric": Metrics.all.map(\.name)
    case "colormap": Colormap.names
    case "class": ["predicted", "least", "all"]
    case "preprocess": ["imagenet", "imagenet-exact"]
    default: nil
    }
  }

  private static var bash: String {
    let commands = Commands.usages
    let options = commands.flatMap(\.options)
    var values: [String] = []
    for name in Set(options.map(\.name)).sorted() {
      guard let words = options.first(where: { $0.name == name }).flatMap(words) else { continue }
      values.append("    --\(name)) \(reply(words)); return ;;")
    }
    let names = commands.map { usage in
      "    \(usage.name)) \(reply(usage.options.map { "--" + $0.name } + ["--help"])) ;;"
    }
    let lines =
      [
        "_limpid() {", "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}", "  COMPREPLY=()",
        "  case $before in",
      ] + values + [
        "  esac", "  if [[ $COMP_CWORD == 1 ]]; then \(reply(commands.map(\.name))); return; fi",
        "  [[ $word == -* ]] || return", "  case ${COMP_WORDS[1]} in",
      ] + names + ["  esac", "}", "complete -o default -F _limpid limpid"]
    return lines.joined(separator: "\n") + "\n"
  }

  private static func reply(_ words: [String]) -> String {
    "COMPREPLY=($(compgen -W '\(words.joined(separator: " "))' -- \"$word\"))"
  }

  private static var fish: String {
    var lines: [String] = []
    for usage in Commands.usages {
      lines.append(
        "complete -c limpid -n __fish_use_subcommand -f -a \(usage.name) -d \(usage.summary.shellWord)")
      for option in usage.options {
        let values = words(of: option).map { " -x -a \($0.joined(separator: " ").shellWord)" }
        lines.append(
          "complete -c limpid -n '__fish_seen_subcommand_from \(usage.name)' -l \(option.name)"
            + (values ?? (option.value == nil ? "" : " -r")) + " -d \(option.summary.shellWord)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
