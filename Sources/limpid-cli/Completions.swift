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
    case "method", "explain": Explainers.all.map(\.name)
    case "metric": Metrics.all.map(\.name)
    case "colormap": Colormap.names
    case "class": ["predicted", "least", "all"]
    case "preprocess": ["imagenet", "imagenet-exact"]
    default: nil
    }
  }

  private static var bash: String {
    let commands = Commands.all.map(\.usage)
    let values = Set(commands.flatMap(\.options).filter { words(of: $0) != nil }.map(\.name)).sorted()
    let options = commands.flatMap(\.options)
    return """
      _limpid() {
        local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
        COMPREPLY=()
        case $before in
      \(values.map { name in
        let words = options.first { $0.name == name }.flatMap(words) ?? []
        return "    --\(name)) COMPREPLY=($(compgen -W '\(words.joined(separator: " "))' -- \"$word\")); return ;;"
      }.joined(separator: "\n"))
        esac
        if [[ $COMP_CWORD == 1 ]]; then
          COMPREPLY=($(compgen -W '\(commands.map(\.name).joined(separator: " "))' -- "$word"))
          return
        fi
        [[ $word == -* ]] || return
        case ${COMP_WORDS[1]} in
      \(commands.map { usage in
        let names = (usage.options.map { "--" + $0.name } + ["--help"]).joined(separator: " ")
        return "    \(usage.name)) COMPREPLY=($(compgen -W '\(names)' -- \"$word\")) ;;"
      }.joined(separator: "\n"))
        esac
      }
      complete -o default -F _limpid limpid

      """
  }

  private static var fish: String {
    var lines: [String] = []
    for usage in Commands.all.map(\.usage) {
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
